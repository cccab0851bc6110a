import numpy as np
import pytest
import trimesh

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.depth import scale_from_depth
from surfpose_ros.pose.detection import Detection, PoseHypothesis

CAMERA = Camera(np.array([[400.0, 0, 159.5], [0, 400.0, 119.5], [0, 0, 1]]), 320, 240)


@pytest.fixture
def seen():
    """A ball of 20 cm at one metre, its depth picture, and a detection that takes it for twice that."""
    ball = mesh_from_trimesh(trimesh.creation.icosphere(subdivisions=4, radius=0.5))
    caster = RayCaster(ball)
    truth = np.diag([0.2, 0.2, 0.2, 1.0])
    truth[:3, 3] = (0.05, 0, 1.0)
    points, faces = caster.surface_map(truth, CAMERA)
    depth = np.where(faces >= 0, points @ truth[2, :3] + truth[2, 3], 0)
    pose = np.eye(4)
    pose[:3, 3] = (0.1, 0, 2.0)
    hypothesis = PoseHypothesis(pose, 1.0, np.eye(6))
    detection = Detection("ball", 0.9, (139, 79, 82, 82), (hypothesis,), np.full(3, 0.4), metric=False)
    return detection, caster, depth


def test_depth_gives_the_true_distance_and_size(seen):
    detection, caster, depth = seen
    scaled = scale_from_depth(detection, caster, CAMERA, depth)
    assert scaled.metric
    assert np.allclose(scaled.hypotheses[0].camera_from_object[:3, 3], (0.05, 0, 1.0), atol=0.005)
    assert np.allclose(scaled.size, 0.2, atol=0.002)
    assert scaled.hypotheses[0].covariance[0, 0] == pytest.approx(0.25, abs=0.01)
    assert scaled.hypotheses[0].covariance[3, 3] == 1


def test_depth_that_is_unknown_changes_nothing(seen):
    detection, caster, depth = seen
    assert scale_from_depth(detection, caster, CAMERA, np.full_like(depth, np.nan)) is detection
