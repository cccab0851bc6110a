"""Visual hull by soft votes: how many silhouettes a point of space lies in, and the level that fits best.

A hard intersection loses whatever a single view misses (a horse's legs); the mean of soft memberships,
with its level chosen by silhouette overlap, does not.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from skimage.measure import marching_cubes

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.surface.silhouettes import SilhouetteViews, mesh_silhouettes, overlaps


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
    views: SilhouetteViews, low: np.ndarray, high: np.ndarray, resolution: int, softness: float
) -> VoteField:
    """Votes of all views for the points of a grid.

    Args:
        views: silhouettes and cameras.
        low: corner of the grid's box, ``(3,)``.
        high: the opposite corner.
        resolution: grid points along the box's longest side.
        softness: half width of the band outside a silhouette, in crop pixels, over which membership falls
            from 1 to 0. All of the inside counts in full, so that a leg of two pixels stands with the rest.
    """
    spacing = float((high - low).max()) / (resolution - 1)
    counts = np.ceil((high - low) / spacing - 1e-9).astype(int) + 1
    x, y, z = (low[axis] + spacing * np.arange(counts[axis]) for axis in range(3))
    votes = np.zeros((counts[0] * counts[1], counts[2]), np.float32)
    for distance, intrinsics, pose in zip(
        views.distances, views.intrinsics, views.camera_from_video, strict=True
    ):
        membership = np.clip(1 + 0.5 * distance / softness, 0, 1)
        # Homogeneous pixels are affine in x, y and z, so a grid's are sums of three small tables.
        projection = intrinsics @ pose[:3]
        plane = (
            projection[:, None, None, 0, None] * x[:, None, None]
            + projection[:, None, None, 1, None] * y[:, None]
            + projection[:, None, None, 3, None]
        )
        u, v, w = (
            (plane[row].reshape(-1, 1) + projection[row, 2] * z).astype(np.float32) for row in range(3)
        )
        np.maximum(w, 1e-6, out=w)
        votes += cv2.remap(membership, u / w, v / w, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return VoteField(votes.reshape(*counts) / len(views.distances), low, spacing)


def best_level(
    field: VoteField, views: SilhouetteViews, low: float = 0.5, high: float = 0.98, steps: int = 8
) -> tuple[float, float]:
    """The level whose mesh's silhouettes overlap the masks best, by golden-section search.

    Returns:
        The level and its mean intersection over union.
    """

    def overlap(level: float) -> float:
        if not field.votes.max() > level:
            return 0.0
        return float(overlaps(mesh_silhouettes(field.mesh(level), views), views).mean())

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
