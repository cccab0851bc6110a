"""CameraInfo to calibrations."""

import cv2
import numpy as np
import pytest

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="no ROS 2 message types here")
from std_msgs.msg import Header  # noqa: E402

from surfpose_ros.errors import SurfposeError  # noqa: E402
from surfpose_ros.geometry.cameras import Camera  # noqa: E402
from surfpose_ros.messages.cameras import (  # noqa: E402
    calibration_from_info,
    encode_camera_info,
    same_calibration,
)  # fmt: skip

MATRIX = np.array([[300.0, 0, 161], [0, 310, 119], [0, 0, 1]])
LENSES = {
    "plumb_bob": [-0.25, 0.08, 0.001, -0.002, 0.0],
    "rational_polynomial": [-0.4, 0.15, 0.0005, 0.0003, 0.02, -0.15, 0.05, 0.01],
    "equidistant": [0.05, -0.01, 0.002, -0.001],
}


def info(model: str = "plumb_bob", coefficients=(), **fields):
    made = encode_camera_info(Camera(MATRIX, 320, 240), Header(frame_id="camera"))
    made.distortion_model, made.d = model, list(coefficients)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def distorted(points: np.ndarray, model: str) -> np.ndarray:
    """Where a lens shows points ``(N, 3)`` of the camera frame, by OpenCV's own projection."""
    coefficients, zero = np.array(LENSES[model]), np.zeros(3)
    if model == "equidistant":
        return cv2.fisheye.projectPoints(points[:, None], zero, zero, MATRIX, coefficients)[0][:, 0]
    return cv2.projectPoints(points, zero, zero, MATRIX, coefficients)[0][:, 0]


@pytest.mark.parametrize("model", LENSES)
def test_undistorted_points_lie_where_a_pinhole_sees_them(model):
    points = np.random.default_rng(1).uniform([-0.4, -0.3, 1], [0.4, 0.3, 1.2], (40, 3))
    straight = points @ MATRIX.T
    straight = straight[:, :2] / straight[:, 2:]
    calibration = calibration_from_info(info(model, LENSES[model]))
    assert np.abs(calibration.undistort_points(distorted(points, model)) - straight).max() < 0.05


@pytest.mark.parametrize("model", LENSES)
def test_an_undistorted_image_shows_a_dot_where_a_pinhole_sees_it(model):
    point = np.array([[0.28, -0.2, 1.0]])
    u, v = distorted(point, model)[0]
    y, x = np.mgrid[:240, :320]
    image = (255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18)).astype(np.uint8)
    calibration = calibration_from_info(info(model, LENSES[model]))
    shown = calibration.undistort(np.dstack([image] * 3))[..., 0].astype(float)
    centre = np.array([(shown * x).sum(), (shown * y).sum()]) / shown.sum()
    straight = MATRIX @ point[0]
    assert np.abs(centre - straight[:2]).max() < 0.7
    assert np.abs(np.array([u, v]) - straight[:2]).max() > 1.0  # the lens does bend it


def test_no_distortion_leaves_the_image_as_it_is():
    image = np.zeros((240, 320, 3), np.uint8)
    assert calibration_from_info(info("plumb_bob", [0.0] * 5)).undistort(image) is image


def test_a_rectified_image_takes_the_projection_matrix_and_no_distortion():
    made = info("plumb_bob", LENSES["plumb_bob"])
    made.p = [280.0, 0, 150, 0, 0, 280, 110, 0, 0, 0, 1, 0]
    calibration = calibration_from_info(made, rectified=True)
    assert calibration.maps is None
    assert calibration.camera.matrix[0, 0] == 280


def test_binning_and_region_of_interest_change_the_intrinsics_as_cropping_and_halving_do():
    region = sensor_msgs.RegionOfInterest(x_offset=40, y_offset=20, width=200, height=160)
    camera = calibration_from_info(info(binning_x=2, binning_y=2, roi=region)).camera
    assert (camera.width, camera.height) == (100, 80)
    assert np.allclose(camera.matrix, Camera(MATRIX, 320, 240).cropped(40, 20, 100, 80, 0.5).matrix)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (info(k=[0.0] * 9), "calibrate"),
        (info(k=[float("nan")] * 9), "finite"),
        (info(width=0), "width or height 0"),
        (info("plumb_bob", [float("nan")] * 5), "not finite"),
        (info("thin_prism", [0.1] * 5), "thin_prism"),
        (info("plumb_bob", [0.1] * 3), "3 coefficients"),
        (info(binning_x=2, binning_y=1), "binning"),
    ],
)
def test_a_calibration_that_makes_no_sense_says_why(made, says):
    with pytest.raises(SurfposeError, match=says):
        calibration_from_info(made)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(SurfposeError, match="640x480"):
        calibration_from_info(info()).undistort(np.zeros((480, 640, 3), np.uint8))


def test_calibrations_are_the_same_whatever_the_stamp_even_with_nan():
    first, second = info(k=[float("nan")] * 9), info(k=[float("nan")] * 9)
    second.header.stamp.sec = 7
    assert same_calibration(first, second)
    assert not same_calibration(first, info())
