"""From the messages of one image to its objects: decode, undistort, estimate, track; in that order."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from std_msgs.msg import Header

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.cameras import Calibration, calibration_from_info, same_calibration
from surfpose_ros.messages.detections import boxes_from_detections
from surfpose_ros.messages.diagnostics import Level, Status
from surfpose_ros.messages.images import decode_depth, decode_image
from surfpose_ros.nodes.newest_frame import FrameMessages
from surfpose_ros.nodes.raw_topics import RawMessage
from surfpose_ros.pose.detection import PoseResult
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.pose.following import Follower
from surfpose_ros.pose.tracking import TrackedObject, Tracker, untracked


@dataclass(frozen=True)
class PosedFrame:
    """What came of one image.

    Attributes:
        header: of the image.
        image: undistorted, ``(H, W, 3)`` uint8 RGB.
        calibration: of its camera.
        result: of the estimator.
        objects: its detections with their names.
        stage_seconds: time of each stage, in order.
    """

    header: Header
    image: np.ndarray
    calibration: Calibration
    result: PoseResult
    objects: tuple[TrackedObject, ...]
    stage_seconds: dict[str, float]

    def status(self, age: float, threshold: float) -> Status:
        """For /diagnostics: what was seen, or why nothing; `age` of the image on arrival in seconds."""
        values = {
            "objects": ", ".join(item.name for item in self.objects) or "none",
            "best score": self.result.best_score,
            "threshold": threshold,
            "image age on arrival [s]": age,
            "frame": self.header.frame_id,
        }
        if not self.objects:
            return Status("poses", Level.OK, f"none: {self.result.reason}", values)
        if not self.header.frame_id:
            return Status("poses", Level.WARN, "the image's header has no frame_id: no TF", values)
        if not all(item.detection.metric for item in self.objects):
            message = "positions are in object diagonals, without TF: the model knows no metric size"
            return Status("poses", Level.WARN, message, values)
        return Status("poses", Level.OK, "objects seen", values)


class PoseWorker:
    """Holds what lasts from image to image: the calibration and the tracks."""

    def __init__(self, rectified: bool, classes: tuple[str, ...]) -> None:
        self.tracker = Tracker()
        self._follower = Follower(self.tracker)
        self._rectified = rectified
        self._classes = classes
        self._info = None
        self._calibration: Calibration | None = None

    def know_symmetries(self, models: Iterable[CategoryModel]) -> None:
        """Let the tracker know how the models' categories are symmetric."""
        self.tracker.symmetries = {model.name: model.symmetry for model in models}

    def __call__(
        self,
        frame: FrameMessages,
        info: RawMessage,
        estimator: PoseEstimator,
        tracking: bool,
        localise_period: float,
    ) -> PosedFrame:
        """Work on one image; while `tracking`, see `Follower.where` for the period.

        Raises:
            SurfposeError: a message that makes no sense; says which and why.
        """
        began = time.perf_counter()
        message = frame.image.content()
        calibration = self._calibrate(info)
        try:
            image = calibration.undistort(decode_image(message))
        except SurfposeError as error:
            raise SurfposeError(f"{frame.image.topic}: {error}") from None
        boxes = self._boxes(frame, calibration, image)
        depth = self._depth(frame, calibration)
        decoded = time.perf_counter()
        stamp, expected = frame.image.stamp / 1e9, None
        if tracking and boxes is None:
            expected = self._follower.where(stamp, calibration.camera, localise_period)
        result = estimator(image, calibration.camera, boxes=boxes, depth=depth, expected=expected)
        estimated = time.perf_counter()
        if tracking:
            objects = self.tracker.update(stamp, result.detections)
        else:
            objects = untracked(result.detections)
        stages = {
            "decode": decoded - began,
            **result.stage_seconds,
            "track": time.perf_counter() - estimated,
        }
        return PosedFrame(message.header, image, calibration, result, objects, stages)

    def _calibrate(self, raw: RawMessage) -> Calibration:
        info = raw.content()
        if self._calibration is None or not same_calibration(info, self._info):
            self._calibration = None
            try:
                self._calibration = calibration_from_info(info, self._rectified)
            except SurfposeError as error:
                raise SurfposeError(f"{raw.topic}: {error}") from None
            self._info = info
        return self._calibration

    def _boxes(
        self, frame: FrameMessages, calibration: Calibration, image: np.ndarray
    ) -> np.ndarray | None:
        raw = frame.partners.get("detections_2d")
        if raw is None:
            return None
        boxes = boxes_from_detections(raw.content(), self._classes)
        if not len(boxes):
            return boxes
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        moved = calibration.undistort_points(corners).reshape(2, -1, 2)
        return np.concatenate([moved[0], moved[1] - moved[0]], axis=1)

    def _depth(self, frame: FrameMessages, calibration: Calibration) -> np.ndarray | None:
        raw = frame.partners.get("depth")
        if raw is None:
            return None
        try:
            return calibration.undistort(decode_depth(raw.content()), cv2.INTER_NEAREST)
        except SurfposeError as error:
            raise SurfposeError(f"{raw.topic}: {error}; it must be registered to the image") from None
