"""Pinhole cameras in OpenCV's optical frame (x right, y down, z forward).

Pixel (0, 0) is the centre of the top-left pixel, so an image W pixels wide spans -0.5 to W - 0.5.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from surfpose_ros.errors import SurfposeError


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion.

    Attributes:
        matrix: intrinsics, ``(3, 3)`` float64, pixels.
        width: image width in pixels.
        height: image height in pixels.
    """

    matrix: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise SurfposeError("camera intrinsics are not a finite 3x3 matrix; check camera_info.k")
        if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise SurfposeError(
                f"focal lengths are {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels; "
                "an uncalibrated camera publishes zeros: calibrate it"
            )
        object.__setattr__(self, "matrix", matrix)

    def cropped(self, x: float, y: float, width: int, height: int, scale: float) -> "Camera":
        """The camera of a crop whose pixel (0, 0) lies at (x, y) of this image, then scaled.

        A crop's pixel u shows this image's ``x + (u + 0.5) / scale - 0.5``.
        """
        matrix = self.matrix.copy()
        matrix[0, 2] = (matrix[0, 2] - x + 0.5) * scale - 0.5
        matrix[1, 2] = (matrix[1, 2] - y + 0.5) * scale - 0.5
        matrix[:2, :2] *= scale
        return Camera(matrix, width, height)


def project_points(intrinsics: Tensor, points: Tensor) -> Tensor:
    """Pixels ``(..., N, 2)`` of camera-frame points ``(..., N, 3)`` under ``(..., 3, 3)`` intrinsics.

    Points at or behind the camera are projected as if just in front of it; test their z beforehand.
    """
    homogeneous = points @ intrinsics.transpose(-1, -2)
    return homogeneous[..., :2] / homogeneous[..., 2:].clamp_min(1e-9)
