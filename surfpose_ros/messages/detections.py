"""Detections to and from vision_msgs, which is imported only when a function here is called."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovariance, Vector3
from std_msgs.msg import Header

from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.poses import pose_message
from surfpose_ros.pose.detection import Detection, PoseHypothesis
from surfpose_ros.pose.tracking import TrackedObject

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2DArray, Detection3D, Detection3DArray, ObjectHypothesisWithPose


def detection_array(objects: Sequence[TrackedObject], header: Header) -> "Detection3DArray":
    """All objects; `id` is the name of the track, `results[]` every hypothesis, best first.

    A result's score is the detection's score times the hypothesis's weight.
    """
    from vision_msgs.msg import Detection3DArray

    return Detection3DArray(header=header, detections=[_detection(item, header) for item in objects])


def best_pose(objects: Sequence[TrackedObject], header: Header) -> PoseStamped:
    """The best hypothesis of the best object; `objects` must not be empty."""
    best = max(objects, key=lambda item: item.detection.score)
    return PoseStamped(header=header, pose=pose_message(best.detection.hypotheses[0].camera_from_object))


def pose_array(objects: Sequence[TrackedObject], header: Header) -> PoseArray:
    """The best hypothesis of every object."""
    poses = [pose_message(item.detection.hypotheses[0].camera_from_object) for item in objects]
    return PoseArray(header=header, poses=poses)


def boxes_from_detections(message: "Detection2DArray", classes: Sequence[str] = ()) -> np.ndarray:
    """Boxes (x, y, width, height) in pixels, ``(N, 4)`` float64, of a 2D detector's message.

    Args:
        message: from any detector that publishes vision_msgs.
        classes: keep only detections whose best result is one of these; all if empty.

    Raises:
        SurfposeError: a box that is not finite or has no area.
    """
    kept = [item for item in message.detections if not classes or _best_class(item.results) in classes]
    boxes = np.array(
        [
            (
                item.bbox.center.position.x - item.bbox.size_x / 2,
                item.bbox.center.position.y - item.bbox.size_y / 2,
                item.bbox.size_x,
                item.bbox.size_y,
            )
            for item in kept
        ]
    ).reshape(-1, 4)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= 0).any():
        raise SurfposeError("a box of detections_2d is not finite or has no area; check the 2D detector")
    return boxes


def _best_class(results: Sequence["ObjectHypothesisWithPose"]) -> str:
    return max(results, key=lambda result: result.hypothesis.score).hypothesis.class_id if results else ""


def _detection(item: TrackedObject, header: Header) -> "Detection3D":
    from vision_msgs.msg import BoundingBox3D, Detection3D

    detection = item.detection
    x, y, z = (float(side) for side in detection.size)
    box = BoundingBox3D(
        center=pose_message(detection.hypotheses[0].camera_from_object), size=Vector3(x=x, y=y, z=z)
    )
    results = [_result(detection, hypothesis) for hypothesis in detection.hypotheses]
    return Detection3D(header=header, id=item.name, bbox=box, results=results)


def _result(detection: Detection, hypothesis: PoseHypothesis) -> "ObjectHypothesisWithPose":
    from vision_msgs.msg import ObjectHypothesis, ObjectHypothesisWithPose

    covariance = np.asarray(hypothesis.covariance, np.float64).ravel()
    return ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=detection.category, score=detection.score * hypothesis.weight),
        pose=PoseWithCovariance(pose=pose_message(hypothesis.camera_from_object), covariance=covariance),
    )
