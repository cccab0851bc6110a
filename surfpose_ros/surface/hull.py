"""Visual hull by soft votes: how many silhouettes a point of space lies in, and the level that fits best.

A hard intersection loses whatever a single view misses (a horse's legs); the mean of soft memberships,
with its level chosen by silhouette overlap, does not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from skimage.measure import marching_cubes

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.surface.hull_on_gpu import deepest_on_gpu, on_gpu, summed_on_gpu
from surfpose_ros.surface.silhouettes import SilhouetteViews, mesh_silhouettes, overlaps

LEVEL_VIEWS = 50
SAMPLING = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True)
class VoteField:
    """Votes on a grid.

    Attributes:
        votes: mean membership in [0, 1], ``(X, Y, Z)`` float32.
        origin: of the first grid point, ``(3,)``.
        spacing: of neighbouring grid points.
    """

    votes: np.ndarray
    origin: np.ndarray
    spacing: float

    def mesh(self, level: float) -> Mesh:
        """The closed surface where the votes pass a level, outward normals.

        Raises:
            SurfposeError: the votes pass it nowhere.
        """
        padded = np.pad(self.votes, 1)
        if not padded.max() > level:
            raise SurfposeError("the masks have no common hull; check masks and camera poses")
        vertices, faces, _, _ = marching_cubes(padded, level, gradient_direction="ascent")
        vertices = self.origin + (vertices - 1) * self.spacing
        return Mesh(vertices.astype(np.float32), faces.astype(np.int64))

    def above(self, up: np.ndarray, floor: float) -> "VoteField":
        """The field without what lies below the plane under the object (height `floor` along `up`)."""
        axes = [self.origin[axis] + self.spacing * np.arange(self.votes.shape[axis]) for axis in range(3)]
        x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
        height = (up[0] * x + up[1] * y + up[2] * z - floor) / self.spacing
        # Over one grid step, so that the bottom is a plane and no staircase.
        return replace(self, votes=self.votes * np.clip(height + 0.5, 0, 1).astype(np.float32))


def bounding_cube(views: SilhouetteViews) -> tuple[np.ndarray, float]:
    """Centre and half side of a cube that holds the object, from the crops' middle rays and widths."""
    rotation, shift = views.camera_from_video[:, :3, :3], views.camera_from_video[:, :3, 3:]
    back = rotation.transpose(0, 2, 1)
    middle = np.array([(views.size - 1) / 2, (views.size - 1) / 2, 1.0])
    directions = back @ np.linalg.solve(views.intrinsics, np.broadcast_to(middle[:, None], shift.shape))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # The point nearest to all rays: sum of (I - d d^T) (p - c) = 0.
    across = np.eye(3) - directions @ directions.transpose(0, 2, 1)
    centre = np.linalg.lstsq(across.sum(axis=0), -(across @ back @ shift).sum(axis=0), rcond=None)[0]
    depths = (rotation @ centre + shift)[:, 2, 0]
    widths = views.size / views.intrinsics[:, 0, 0] * depths
    return centre[:, 0], 0.5 * float(np.median(widths) + widths.max()) / 2


def carve(
    views: SilhouetteViews,
    low: np.ndarray,
    high: np.ndarray,
    resolution: int,
    softness: float,
    device: str = "cpu",
) -> VoteField:
    """Votes of all views for the points of a grid.

    Args:
        views: silhouettes and cameras.
        low: corner of the grid's box, ``(3,)``.
        high: the opposite corner.
        resolution: grid points along the box's longest side.
        softness: half width of the band outside a silhouette, in crop pixels, over which membership falls
            from 1 to 0. All of the inside counts in full, so that a leg of two pixels stands with the rest.
        device: torch device; on the CPU OpenCV does it.
    """
    spacing = float((high - low).max()) / (resolution - 1)
    counts = np.ceil((high - low) / spacing - 1e-9).astype(int) + 1
    membership = np.clip(1 + 0.5 * views.distances / softness, 0, 1)
    pixel_from_point = _grid_projections(views, low, spacing)
    if on_gpu(device):
        votes = summed_on_gpu(membership, pixel_from_point, counts, device)
    else:
        votes = _summed(membership, pixel_from_point, counts)
    return VoteField(votes / len(membership), low, spacing)


def _grid_projections(views: SilhouetteViews, origin: np.ndarray, spacing: float) -> np.ndarray:
    """Projections ``(N, 3, 4)`` of the numbers of a grid's points along its axes."""
    projections = views.intrinsics @ views.camera_from_video[:, :3]
    projections[:, :, 3] += projections[:, :, :3] @ origin
    projections[:, :, :3] *= spacing
    return projections


def _summed(membership: np.ndarray, pixel_from_point: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The views' membership maps ``(N, S, S)`` at all points of a grid, summed, ``counts``."""
    votes = np.zeros(counts, np.float32)
    size = (int(counts[2]), int(counts[1]))
    for seen, matrix in zip(membership, pixel_from_point, strict=True):
        for number, plane in enumerate(votes):
            # The points of one x lie in a plane, of which a camera shows a perspective picture.
            pixel_from_plane = np.stack(
                [matrix[:, 2], matrix[:, 1], number * matrix[:, 0] + matrix[:, 3]], axis=1
            )
            plane += cv2.warpPerspective(
                seen, pixel_from_plane, size, flags=SAMPLING, borderMode=cv2.BORDER_REPLICATE
            )
    return votes


def _silhouettes_by_level(
    field: VoteField, views: SilhouetteViews, device: str
) -> Callable[[float], np.ndarray]:
    """What tells a level's silhouettes, ``(N, S, S)`` bool."""
    if not on_gpu(device):
        return lambda level: mesh_silhouettes(field.mesh(level), views)
    projections = _grid_projections(views, field.origin, field.spacing)
    deepest = deepest_on_gpu(field.votes, projections, views.size, device)
    return lambda level: deepest > level


def best_level(
    field: VoteField,
    views: SilhouetteViews,
    low: float = 0.5,
    high: float = 0.98,
    steps: int = 8,
    device: str = "cpu",
) -> tuple[float, float]:
    """The level whose mesh's silhouettes overlap the masks best, by golden-section search.

    One number needs not all views of a long video: `LEVEL_VIEWS` of them, spread evenly, tell it.

    Args:
        field: of the votes.
        views: silhouettes and cameras.
        low: least level.
        high: largest level.
        steps: levels looked at.
        device: torch device; on the CPU silhouettes are cast with rays.

    Returns:
        The level and its mean intersection over union.
    """
    views = views.spread(LEVEL_VIEWS)
    silhouettes = _silhouettes_by_level(field, views, device)

    def overlap(level: float) -> float:
        if not field.votes.max() > level:
            return 0.0
        return float(overlaps(silhouettes(level), views).mean())

    golden = (5**0.5 - 1) / 2
    inner = [high - golden * (high - low), low + golden * (high - low)]
    values = [overlap(level) for level in inner]
    for _ in range(steps - 2):
        if values[0] < values[1]:
            low, inner, values = inner[0], [inner[1], 0.0], [values[1], 0.0]
            inner[1] = low + golden * (high - low)
            values[1] = overlap(inner[1])
        else:
            high, inner, values = inner[1], [0.0, inner[0]], [0.0, values[0]]
            inner[0] = high - golden * (high - low)
            values[0] = overlap(inner[0])
    best = int(np.argmax(values))
    return inner[best], values[best]
