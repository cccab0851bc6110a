"""Where only camera rotations are known: each view's offset and scale from its silhouette and the hull's.

Carving and fitting alternate: the hull of all views says where the silhouette of each should be.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from surfpose_ros.surface.hull import best_level, bounding_cube, carve
from surfpose_ros.surface.silhouettes import SilhouetteViews, mesh_silhouettes, signed_distance

# Distances beyond this many pixels count as this many: a far mismatch must not outvote the contour.
BAND = 5.0


def fit_translations(
    views: SilhouetteViews, rounds: int = 4, resolution: int = 48, device: str = "cpu"
) -> SilhouetteViews:
    """Correct the translations of all views so that their silhouettes agree with one hull.

    The overall scale, which no silhouette tells, stays as it is on average.

    Args:
        views: with right rotations and intrinsics, and translations that are a guess.
        rounds: of carving and fitting.
        resolution: of the carving grid.
        device: torch device of the carving.
    """
    small, level = views.reduced(2), 0.0
    for done in range(rounds):
        centre, half = bounding_cube(views)
        # A wide band first, while the views still disagree.
        softness = max(1.0, 3.0 * 0.6**done) * small.size / 64
        field = carve(small, centre - half, centre + half, resolution, softness, device)
        if done in (0, rounds - 2):  # it moves little once the views agree
            level, _ = best_level(field, small, steps=5, device=device)
        silhouettes = mesh_silhouettes(field.mesh(level), small)
        hull = torch.from_numpy(np.stack([signed_distance(plane) for plane in silhouettes]))
        shift, log_scale = match_silhouettes(hull, torch.from_numpy(small.distances))
        log_scale = log_scale - log_scale.median()
        views = views.moved(_moved_poses(views, centre, 2 * shift.numpy(), log_scale.numpy()))
        small = small.moved(views.camera_from_video)
    return views


def match_silhouettes(source: Tensor, target: Tensor, steps: int = 4) -> tuple[Tensor, Tensor]:
    """Offset, and scale about the middle, that take one silhouette onto another, by Gauss-Newton.

    Args:
        source: signed distances in pixels, ``(N, S, S)``.
        target: the same of the silhouettes to reach.
        steps: Gauss-Newton steps.

    Returns:
        Offsets in pixels ``(N, 2)`` and logarithms of scales ``(N,)``.
    """
    count, size = source.shape[0], source.shape[-1]
    axis = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([x, y], dim=-1)
    shift, log_scale = torch.zeros(count, 2), torch.zeros(count)
    for _ in range(steps):
        # What the moved source shows at a pixel is the source at the pixel moved back.
        back = (grid - shift[:, None, None]) * (-log_scale).exp()[:, None, None, None]
        moved = grid_sample(source[:, None], 2 * back / size, padding_mode="border", align_corners=False)
        moved = moved[:, 0]
        down, right = torch.gradient(moved, dim=(1, 2))
        weight = ((moved.abs() < BAND) | (target.abs() < BAND)).flatten(1)[..., None]
        residual = (moved.clamp(-BAND, BAND) - target.clamp(-BAND, BAND)).flatten(1)[..., None]
        jacobian = torch.stack([right, down, right * x + down * y], dim=-1).flatten(1, 2)
        weighted = (weight * jacobian).transpose(1, 2)
        step = torch.linalg.solve(weighted @ jacobian + 1e-3 * torch.eye(3), weighted @ residual)[..., 0]
        shift = shift + step[:, :2].clamp(-3.0, 3.0)
        log_scale = log_scale + step[:, 2].clamp(-0.1, 0.1)
    return shift, log_scale


def _moved_poses(
    views: SilhouetteViews, centre: np.ndarray, shift: np.ndarray, log_scale: np.ndarray
) -> np.ndarray:
    """Poses under which the object appears shifted (crop pixels) and scaled about each crop's middle."""
    poses = views.camera_from_video.copy()
    turned = poses[:, :3, :3] @ centre
    in_camera = turned + poses[:, :3, 3]
    homogeneous = np.einsum("nij,nj->ni", views.intrinsics, in_camera)
    middle = (views.size - 1) / 2
    pixels = homogeneous[:, :2] / homogeneous[:, 2:]
    pixels = middle + (pixels - middle) * np.exp(log_scale)[:, None] + shift
    rays = np.linalg.solve(views.intrinsics, np.insert(pixels, 2, 1.0, axis=1)[..., None])[..., 0]
    poses[:, :3, 3] = (in_camera[:, 2] * np.exp(-log_scale))[:, None] * rays - turned
    return poses
