import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera, project_points

MATRIX = np.array([[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]])
CAMERA = Camera(MATRIX, 640, 480)


@given(seed=st.integers(0, 9999))
def test_points_project_as_by_opencv(seed):
    random = np.random.default_rng(seed)
    points = random.uniform([-2, -2, 0.5], [2, 2, 5], (20, 3))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, None)
    ours = project_points(torch.tensor(MATRIX), torch.tensor(points))
    np.testing.assert_allclose(ours, expected[:, 0], atol=1e-9)


def test_many_cameras_project_the_same_points_each_in_its_way():
    matrices = torch.tensor(MATRIX).repeat(4, 1, 1)
    matrices[2, 0, 0] = 250
    pixels = project_points(matrices, torch.tensor([[1.0, 0.0, 2.0]], dtype=torch.float64))
    assert pixels[:, 0, 0].tolist() == [569.5, 569.5, 444.5, 569.5]


def test_points_behind_the_camera_give_finite_pixels():
    assert project_points(torch.tensor(MATRIX), torch.tensor([[1.0, 1.0, -1.0]]).double()).isfinite().all()


@given(
    x=st.floats(-50, 300),
    y=st.floats(-50, 200),
    scale=st.floats(0.1, 4),
    point=st.tuples(*[st.floats(-1, 1)] * 2),
)
def test_a_crops_camera_sees_a_point_where_the_crop_shows_it(x, y, scale, point):
    xyz = torch.tensor([[*point, 2.0]], dtype=torch.float64)
    whole = project_points(torch.tensor(MATRIX), xyz)[0].numpy()
    crop = project_points(torch.tensor(CAMERA.cropped(x, y, 100, 80, scale).matrix), xyz)[0].numpy()
    np.testing.assert_allclose(np.array([x, y]) + (crop + 0.5) / scale - 0.5, whole, atol=1e-9)


def test_halving_an_image_agrees_with_opencvs_resize():
    image = np.zeros((480, 640), np.float32)
    image[200:204, 300:304] = 1  # centre at pixel (301.5, 201.5)
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    v, u = (np.argwhere(small > 0.5)).mean(axis=0)
    half = CAMERA.cropped(0, 0, 320, 240, 0.5)
    ray = np.linalg.solve(MATRIX, [301.5, 201.5, 1.0])
    np.testing.assert_allclose((half.matrix @ ray)[:2], [u, v], atol=1e-9)


def test_a_crop_has_the_size_asked_for_and_leaves_the_camera_alone():
    crop = CAMERA.cropped(10, 20, 100, 80, 2.0)
    assert (crop.width, crop.height) == (100, 80)
    np.testing.assert_array_equal(CAMERA.matrix, MATRIX)


@pytest.mark.parametrize("matrix", [np.eye(2), np.full((3, 3), np.nan), np.diag([np.inf, 1, 1])])
def test_intrinsics_that_are_no_finite_matrix_are_refused(matrix):
    with pytest.raises(SurfposeError, match="camera_info"):
        Camera(matrix, 640, 480)


def test_the_zeros_of_an_uncalibrated_camera_are_named_as_such():
    with pytest.raises(SurfposeError, match="calibrate"):
        Camera(np.zeros((3, 3)), 640, 480)


def test_a_later_change_of_the_callers_array_does_not_reach_the_camera():
    matrix = MATRIX.copy()
    camera = Camera(matrix, 640, 480)
    matrix[0, 0] = 0
    assert camera.matrix[0, 0] == 500
