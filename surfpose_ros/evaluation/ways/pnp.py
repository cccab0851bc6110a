"""Perspective-n-point from dense correspondences: each cell is matched with its likeliest vertex.

EPnP (Lepetit, Moreno-Noguer and Fua, IJCV 2009) within RANSAC, as OpenCV has it.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.evaluation.ways.way import see
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.looking import Box
from surfpose_ros.pose.scoring import log_likelihoods

LEAST = 6  # matches
INLIER_CELLS = 2.0
ITERATIONS = 500


class PnP:
    """A `Way`."""

    def __init__(self, model: CategoryModel) -> None:
        self.model = model

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor | None:
        """The pose that most matches agree on; None where too few do."""
        view, intrinsics = see(self.model, image, camera, box)
        vertices, cells = dense_matches(log_likelihoods(self.model, view.features[None])[0])
        points = self.model.template.mesh.vertices[vertices.cpu().numpy()]
        return solve(points, cells.cpu().numpy(), intrinsics.cpu().numpy())


def dense_matches(log_probability: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest vertex of every cell that is likelier a vertex than clutter.

    Args:
        log_probability: of every vertex, and last of clutter, ``(V + 1, h, w)``.

    Returns:
        Vertices ``(N,)`` and the cells' coordinates x and y ``(N, 2)``.
    """
    best, vertex = log_probability[:-1].max(dim=0)
    row, column = (best > log_probability[-1]).nonzero(as_tuple=True)
    return vertex[row, column], torch.stack([column, row], dim=-1)


def solve(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray) -> Tensor | None:
    """The rotation camera_from_object ``(3, 3)``; None where no six matches agree on one.

    Args:
        points: in the object's frame, ``(N, 3)``.
        pixels: where each was seen, ``(N, 2)``.
        intrinsics: ``(3, 3)``.
    """
    if len(points) < LEAST:
        return None
    found, turn, _, inliers = cv2.solvePnPRansac(
        points.astype(np.float64),
        pixels.astype(np.float64),
        intrinsics.astype(np.float64),
        None,
        iterationsCount=ITERATIONS,
        reprojectionError=INLIER_CELLS,
        flags=cv2.SOLVEPNP_EPNP,
    )
    if not found or inliers is None or len(inliers) < LEAST or not np.isfinite(turn).all():
        return None
    return torch.from_numpy(cv2.Rodrigues(turn)[0])
