"""CameraInfo to a pinhole camera, with the maps that undo the lens's distortion."""

from dataclasses import dataclass

import cv2
import numpy as np
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera

_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}


@dataclass(frozen=True)
class Calibration:
    """A camera without distortion and the way from the images it really takes.

    Attributes:
        camera: intrinsics of the undistorted image.
        model: distortion model of the lens, "" where there is none to undo.
        lens: intrinsics of the distorted image, ``(3, 3)``.
        coefficients: of the distortion model.
        maps: for ``cv2.remap``; None where there is no distortion.
    """

    camera: Camera
    model: str
    lens: np.ndarray
    coefficients: np.ndarray
    maps: tuple[np.ndarray, np.ndarray] | None

    def undistort(self, image: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
        """The image as `camera` would take it; use ``cv2.INTER_NEAREST`` for depth.

        Raises:
            SurfposeError: the image is not of the camera's size.
        """
        height, width = image.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise SurfposeError(
                f"the image is {width}x{height} and camera_info is for {self.camera.width}x"
                f"{self.camera.height}: they are not of the same camera or mode"
            )
        return image if self.maps is None else cv2.remap(image, *self.maps, interpolation)

    def undistort_points(self, points: np.ndarray) -> np.ndarray:
        """Pixels ``(N, 2)`` of the distorted image in the undistorted one."""
        if self.maps is None:
            return points
        undo = cv2.fisheye.undistortPoints if self.model == "equidistant" else cv2.undistortPoints
        source = np.asarray(points, np.float64).reshape(-1, 1, 2)
        return undo(source, self.lens, self.coefficients, P=self.camera.matrix).reshape(-1, 2)


def calibration_from_info(message: CameraInfo, rectified: bool = False) -> Calibration:
    """The calibration that a CameraInfo describes, its region of interest and binning applied.

    Args:
        message: as published beside the image.
        rectified: the image is an ``image_rect``: use the projection matrix P, undo nothing.

    Raises:
        SurfposeError: no finite positive focal length, or a distortion model that is not known.
    """
    if not message.width or not message.height:
        raise SurfposeError("camera_info has width or height 0; the camera driver has not filled it in")
    full = np.reshape(message.p, (3, 4))[:, :3] if rectified else np.reshape(message.k, (3, 3))
    roi = message.roi
    width, height = roi.width or message.width, roi.height or message.height
    bin_x, bin_y = message.binning_x or 1, message.binning_y or 1
    if bin_x != bin_y:
        raise SurfposeError(f"camera_info bins {bin_x}x{bin_y}; only equal binning of both axes is known")
    camera = Camera(full, message.width, message.height).cropped(
        roi.x_offset, roi.y_offset, width // bin_x, height // bin_y, 1 / bin_x
    )
    model, coefficients = ("", np.zeros(0)) if rectified else _distortion(message)
    maps = _undistortion_maps(camera, model, coefficients) if model else None
    return Calibration(camera, model, camera.matrix, coefficients, maps)


def same_calibration(first: CameraInfo, second: CameraInfo) -> bool:
    """Whether two messages describe the same camera, whatever their stamps; NaN equals NaN."""

    def key(message: CameraInfo) -> tuple:
        numbers = np.concatenate([message.k, message.d, message.p])
        roi = message.roi
        size = (message.width, message.height, message.binning_x, message.binning_y)
        return (*size, roi.x_offset, roi.y_offset, roi.width, roi.height, message.distortion_model,
                numbers.tobytes())  # fmt: skip

    return key(first) == key(second)


def encode_camera_info(camera: Camera, header: Header) -> CameraInfo:
    """A CameraInfo without distortion."""
    k = camera.matrix
    message = CameraInfo(header=header, width=camera.width, height=camera.height)
    message.distortion_model, message.d = "plumb_bob", [0.0] * 5
    message.k, message.r = k.ravel().tolist(), np.eye(3).ravel().tolist()
    message.p = np.hstack([k, np.zeros((3, 1))]).ravel().tolist()
    message.roi = RegionOfInterest()
    return message


def _distortion(message: CameraInfo) -> tuple[str, np.ndarray]:
    """Model and coefficients; model "" where all are zero or none is named."""
    coefficients = np.array(message.d, dtype=np.float64)
    if not coefficients.any():
        return "", np.zeros(0)
    if not np.isfinite(coefficients).all():
        raise SurfposeError("camera_info's distortion is not finite; check camera_info.d")
    model = message.distortion_model
    if model not in _COEFFICIENTS or len(coefficients) not in _COEFFICIENTS[model]:
        raise SurfposeError(
            f"camera_info has {len(coefficients)} coefficients of the distortion model {model!r}; known "
            "are plumb_bob (5), rational_polynomial (8) and equidistant (4); or subscribe to image_rect "
            "and set the parameter rectified"
        )
    return model, coefficients


def _undistortion_maps(
    camera: Camera, model: str, coefficients: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    size, identity, matrix = (camera.width, camera.height), np.eye(3), camera.matrix
    build = cv2.fisheye.initUndistortRectifyMap if model == "equidistant" else cv2.initUndistortRectifyMap
    return build(matrix, coefficients, identity, matrix, size, cv2.CV_16SC2)
