import cv2
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.detection import Detection, PoseHypothesis, PoseResult
from surfpose_ros.pose.drawing import AXIS_COLOURS, camera_on_box, draw_axes, draw_result, silhouette

CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]), 320, 240)


def facing(distance=3.0):
    """The object's front towards the camera: x to it, y to the right of the image, z up."""
    pose = np.eye(4)
    pose[:3, :3] = [[0, 1, 0], [0, 0, -1], [-1, 0, 0]]
    pose[2, 3] = distance
    return pose


def detection(pose, score=0.9, rival=0.0):
    hypotheses = [PoseHypothesis(pose, 1 - rival, np.eye(6))]
    if rival:
        back = pose.copy()
        back[:3, :3] = pose[:3, :3] @ np.diag([-1.0, -1, 1])
        hypotheses.append(PoseHypothesis(back, rival, np.eye(6)))
    return Detection("mug", score, (110, 70, 100, 100), tuple(hypotheses), np.array([0.6, 0.5, 0.4]), True)


def test_axes_are_red_green_blue_where_they_point():
    image = np.zeros((240, 320, 3), np.uint8)
    tilted = facing()
    tilted[:3, :3] = tilted[:3, :3] @ Rotation.from_euler("zy", [30, 25], degrees=True).as_matrix()
    draw_axes(image, CAMERA, tilted, 1.0)
    for axis, colour in enumerate(AXIS_COLOURS):
        tip = tilted[:3, :3] @ (0.7 * np.eye(3)[axis]) + tilted[:3, 3]
        u, v = np.round(CAMERA.matrix @ tip / tip[2]).astype(int)[:2]
        assert np.abs(image[v, u].astype(int) - colour).max() < 40


def test_the_silhouette_is_what_rays_hit():
    mesh = mesh_from_trimesh(trimesh.creation.torus(0.8, 0.3))
    pose = facing()
    pose[:3, :3] = Rotation.random(rng=3).as_matrix()
    rays = RayCaster(mesh).surface_map(pose, CAMERA)[1] >= 0
    drawn = silhouette(CAMERA, pose, mesh, (240, 320)) > 0
    assert (rays & drawn).sum() / (rays | drawn).sum() > 0.97


@pytest.mark.parametrize("rival", [0.0, 0.4])
@pytest.mark.parametrize("camera", [CAMERA, None])
def test_a_result_changes_pixels_and_not_the_image_it_was_given(camera, rival):
    image = np.full((240, 320, 3), 40, np.uint8)
    result = PoseResult((detection(facing(), rival=rival),), 0.9, "", {})
    template = mesh_from_trimesh(trimesh.creation.box((0.6, 0.5, 0.4)))
    drawn = draw_result(image, result, camera, {"mug": template})
    assert (image == 40).all() and (drawn != 40).any(axis=2).mean() > 0.01


def test_an_empty_result_says_why():
    image = np.zeros((240, 320, 3), np.uint8)
    assert draw_result(image, PoseResult((), 0.1, "nothing above 0.5", {}), CAMERA).any()


def test_a_pose_behind_or_at_the_camera_draws_nothing_and_does_not_fail():
    image = np.zeros((240, 320, 3), np.uint8)
    for distance in (-2.0, 0.0, 0.1):
        result = PoseResult((detection(facing(distance)),), 0.9, "", {})
        draw_result(image, result, CAMERA, {"mug": mesh_from_trimesh(trimesh.creation.icosphere(2))})


@pytest.mark.parametrize(
    "shape",
    [trimesh.creation.box((1.0, 0.5, 0.4)), trimesh.creation.icosphere(radius=0.5)],
    ids=["box", "ball"],
)
def test_without_intrinsics_the_object_fills_its_box(shape):
    mesh = mesh_from_trimesh(shape)
    rotation = Rotation.random(rng=1).as_matrix()
    camera, pose = camera_on_box(rotation, mesh.vertices, (100, 60, 120, 90), (240, 320, 3))
    x, y, width, height = cv2.boundingRect(silhouette(camera, pose, mesh, (240, 320)))
    assert (x + width / 2, y + height / 2) == pytest.approx((160, 105), abs=1.5)
    assert width * height == pytest.approx(120 * 90, rel=0.05)
