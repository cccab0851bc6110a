"""The viewpoint angles of PASCAL3D+, ObjectNet3D and ImageNet3D as rotations in our frames.

Their objects face -y with z up; the camera goes round by the azimuth towards +x, which is the object's
left, and up by the elevation; the picture is then turned counter-clockwise by theta (`project_3d.m` of the
authors' toolboxes). The camera looks at the object's origin, which the principal point therefore shows.
"""

import numpy as np
import torch

from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.geometry.rotations import camera_from_object_views


def rotation_from_angles(azimuth_deg: float, elevation_deg: float, theta_deg: float) -> Array:
    """``camera_from_object`` ``(3, 3)``: object x front, y left, z up; camera OpenCV's."""
    azimuth, elevation, theta = torch.deg2rad(
        torch.tensor([azimuth_deg, elevation_deg, theta_deg], dtype=torch.float64)
    )
    return camera_from_object_views(azimuth, elevation, -theta).numpy()


def intrinsics(focal_px: float, px: float, py: float) -> Array:
    """``(3, 3)`` for a principal point in MATLAB's pixels, whose first is (1, 1)."""
    return np.array([[focal_px, 0, px - 1], [0, focal_px, py - 1], [0, 0, 1.0]])


def box_from_corners(x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
    """x, y, width, height of a box whose corners are MATLAB pixels and belong to it."""
    return x1 - 1.5, y1 - 1.5, x2 - x1 + 1, y2 - y1 + 1
