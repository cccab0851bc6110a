"""Poses, detections, markers and diagnostics to messages."""

import numpy as np
import pytest
import torch

pytest.importorskip("geometry_msgs.msg", reason="no ROS 2 message types here")
from diagnostic_msgs.msg import DiagnosticStatus
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.rotations import random_rotations
from surfpose_ros.messages.detections import (
    best_pose,
    boxes_from_detections,
    detection_array,
    pose_array,
)  # fmt: skip
from surfpose_ros.messages.diagnostics import Level, Status, diagnostic_array
from surfpose_ros.messages.markers import marker_array, mesh_points
from surfpose_ros.messages.poses import (
    matrix_from_pose,
    matrix_from_transform,
    pose_message,
    stamp_message,
    transform_message,
)  # fmt: skip
from surfpose_ros.pose.detection import Detection, PoseHypothesis
from surfpose_ros.pose.tracking import TrackedObject

HEADER = Header(frame_id="camera", stamp=stamp_message(12_345_678_901))


def rigid(seed: int) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = random_rotations(1, torch.Generator().manual_seed(seed))[0].numpy()
    pose[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return pose


def tracked(name: str = "mug_0", score: float = 0.8, metric: bool = True) -> TrackedObject:
    hypotheses = (
        PoseHypothesis(rigid(1), 0.75, np.diag([1.0, 2, 3, 4, 5, 6])),
        PoseHypothesis(rigid(2), 0.25, np.eye(6)),
    )
    size = np.array([0.1, 0.08, 0.06])
    return TrackedObject(name, Detection("mug", score, (0, 0, 9, 9), hypotheses, size, metric))


@pytest.mark.parametrize("seed", range(5))
def test_a_pose_comes_back_from_its_message_with_scalar_last_quaternions(seed):
    pose = rigid(seed)
    message = pose_message(pose)
    q = message.orientation
    assert np.allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), pose[:3, :3])
    assert np.allclose(matrix_from_pose(message), pose)
    assert np.allclose(matrix_from_transform(transform_message(pose, HEADER, "x").transform), pose)


def test_a_stamp_keeps_its_nanoseconds():
    assert (HEADER.stamp.sec, HEADER.stamp.nanosec) == (12, 345_678_901)


def test_every_hypothesis_is_a_result_with_its_share_of_the_score_and_its_covariance():
    pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    message = detection_array([tracked()], HEADER)
    assert message.header == HEADER
    (detection,) = message.detections
    assert detection.id == "mug_0"
    assert [round(result.hypothesis.score, 6) for result in detection.results] == [0.6, 0.2]
    assert detection.results[0].pose.covariance[7] == 2.0
    assert np.allclose(matrix_from_pose(detection.bbox.center), rigid(1))
    assert detection.bbox.size.y == 0.08


def test_the_best_pose_is_that_of_the_highest_score():
    objects = [tracked("mug_0", 0.5), tracked("mug_1", 0.9)]
    assert np.allclose(matrix_from_pose(best_pose(objects, HEADER).pose), rigid(1))
    assert len(pose_array(objects, HEADER).poses) == 2


def test_boxes_of_a_2d_detector_are_read_by_class():
    vision = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")

    def box(name, x, width):
        found = vision.Detection2D()
        found.bbox.center.position.x, found.bbox.center.position.y = x, 20.0
        found.bbox.size_x, found.bbox.size_y = width, 10.0
        hypothesis = vision.ObjectHypothesis(class_id=name, score=0.9)
        found.results = [vision.ObjectHypothesisWithPose(hypothesis=hypothesis)]
        return found

    message = vision.Detection2DArray(detections=[box("cup", 30.0, 8.0), box("car", 90.0, 20.0)])
    assert boxes_from_detections(message).shape == (2, 4)
    assert boxes_from_detections(message, ["cup"]).tolist() == [[26.0, 15.0, 8.0, 10.0]]
    assert boxes_from_detections(vision.Detection2DArray()).shape == (0, 4)
    with pytest.raises(SurfposeError, match="no area"):
        boxes_from_detections(vision.Detection2DArray(detections=[box("cup", 30.0, 0.0)]))


def test_markers_clear_the_old_ones_and_show_mesh_axes_and_name_at_the_right_size():
    mesh = Mesh(np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0]], np.float32), np.array([[0, 1, 2]]))
    message = marker_array([tracked()], {"mug": mesh_points(mesh)}, HEADER, 1.5)
    assert message.markers[0].action == Marker.DELETEALL
    shown = {marker.ns: marker for marker in message.markers[1:]}
    assert set(shown) == {"mesh", "axes", "name"}
    diagonal = float(np.linalg.norm([0.1, 0.08, 0.06]))
    assert shown["mesh"].scale.x == pytest.approx(diagonal)
    assert shown["mesh"].points[2].y == pytest.approx(0.8)  # a mesh of diagonal 5 became one of 1
    assert shown["axes"].lifetime.nanosec == 500_000_000
    assert all(marker.header == HEADER for marker in shown.values())


def test_diagnostics_keep_level_message_and_figures():
    message = diagnostic_array([Status("camera", Level.WARN, "dark", {"share": 0.123456})], HEADER.stamp)
    (status,) = message.status
    assert status.level == DiagnosticStatus.WARN
    assert (status.values[0].key, status.values[0].value) == ("share", "0.1235")
