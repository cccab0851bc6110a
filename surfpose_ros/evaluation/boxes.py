"""Overlap of boxes: upright ones in the image, oriented ones in space."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from surfpose_ros.evaluation.metrics import Array

_CORNERS = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
# Outward normals and offsets of the unit cube, normal . p + offset <= 0 inside.
_FACES = np.hstack([np.vstack([np.eye(3), -np.eye(3)]), np.full((6, 1), -0.5)])


def box_corners(pose: ArrayLike, size: ArrayLike) -> Array:
    """The corners ``(8, 3)`` of a box of `size` ``(3,)`` centred on the origin of `pose` ``(4, 4)``."""
    pose = np.asarray(pose, np.float64)
    return (_CORNERS * np.asarray(size)) @ pose[:3, :3].T + pose[:3, 3]


def box_overlap_3d(pose: ArrayLike, size: ArrayLike, other_pose: ArrayLike, other_size: ArrayLike) -> float:
    """Intersection over union of two oriented boxes, exact: the volume of twelve half-spaces' intersection.

    Args:
        pose: ``frame_from_box``, rigid, ``(4, 4)``; the box is centred on its origin.
        size: full side lengths, ``(3,)``, above zero.
        other_pose: of the other box, to the same frame.
        other_size: of the other box.

    Returns:
        0 to 1.
    """
    planes = np.vstack([_half_spaces(pose, size), _half_spaces(other_pose, other_size)])
    inner, radius = _largest_ball(planes)
    shared = 0.0
    if inner is not None and radius > 1e-9 * float(np.max(size)):
        try:
            shared = ConvexHull(HalfspaceIntersection(planes, inner).intersections).volume
        except QhullError:  # a sliver without volume
            shared = 0.0
    union = float(np.prod(np.asarray(size)) + np.prod(np.asarray(other_size))) - shared
    return float(np.clip(shared / union, 0.0, 1.0))


def box_overlap_2d(boxes: ArrayLike, others: ArrayLike) -> Array:
    """Intersection over union ``(N, M)`` of upright boxes (x, y, width, height), ``(N, 4)``, ``(M, 4)``.

    Example:
        >>> box_overlap_2d([[0, 0, 2, 2]], [[1, 0, 2, 2], [5, 5, 1, 1]]).round(3).tolist()
        [[0.333, 0.0]]
    """
    boxes, others = (
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.asarray(others, np.float64).reshape(-1, 4),
    )
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = boxes[:, 2:].prod(axis=-1)[:, None] + others[:, 2:].prod(axis=-1)[None] - shared
    return shared / np.maximum(union, 1e-12)


def _half_spaces(pose: ArrayLike, size: ArrayLike) -> Array:
    """The box's faces, ``(6, 4)``: normal . p + offset <= 0 inside, normals of unit length."""
    pose, size = np.asarray(pose, np.float64), np.asarray(size, np.float64)
    normals = _FACES[:, :3] @ pose[:3, :3].T
    offsets = _FACES[:, 3] * np.tile(size, 2) - normals @ pose[:3, 3]
    return np.hstack([normals, offsets[:, None]])


def _largest_ball(planes: Array) -> tuple[Array | None, float]:
    """Centre and radius of the largest ball within all half-spaces (Boyd and Vandenberghe, 8.5.1)."""
    lengths = np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
    solution = linprog(
        [0, 0, 0, -1],
        A_ub=np.hstack([planes[:, :3], lengths]),
        b_ub=-planes[:, 3],
        bounds=[(None, None)] * 3 + [(0, None)],
    )
    return (solution.x[:3], float(solution.x[3])) if solution.status == 0 else (None, 0.0)
