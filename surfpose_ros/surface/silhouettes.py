"""The masks of a video as signed distances, on square crops of one size around the object."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from surfpose_ros.evenly import evenly
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.video.masks import fill_small_holes
from surfpose_ros.video.object_video import Frame

# Holes below this share of a mask are reflections and noise, not gaps of the object.
SMALL_HOLE = 0.004


@dataclass(frozen=True)
class SilhouetteViews:
    """Silhouettes and the cameras of their crops.

    Attributes:
        distances: signed distance to the silhouette in crop pixels, positive inside, ``(N, S, S)`` float32.
        intrinsics: of the crops, ``(N, 3, 3)`` float64.
        camera_from_video: rigid transforms, ``(N, 4, 4)`` float64.
    """

    distances: np.ndarray
    intrinsics: np.ndarray
    camera_from_video: np.ndarray

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.distances.shape[-1]

    def moved(self, camera_from_video: np.ndarray) -> "SilhouetteViews":
        """The same silhouettes with other poses."""
        return replace(self, camera_from_video=camera_from_video)

    def spread(self, most: int) -> "SilhouetteViews":
        """At most so many of the views, evenly chosen."""
        chosen = evenly(range(len(self.distances)), most)
        return SilhouetteViews(
            self.distances[chosen], self.intrinsics[chosen], self.camera_from_video[chosen]
        )

    def reduced(self, factor: int) -> "SilhouetteViews":
        """The same views on crops smaller by a whole factor."""
        count, small = len(self.distances), self.size // factor
        blocks = self.distances.reshape(count, small, factor, small, factor)
        intrinsics = self.intrinsics.copy()
        intrinsics[:, :2, 2] = (intrinsics[:, :2, 2] + 0.5) / factor - 0.5
        intrinsics[:, :2, :2] /= factor
        return SilhouetteViews(blocks.mean(axis=(2, 4)) / factor, intrinsics, self.camera_from_video)


def silhouette_views(frames: list[Frame], size: int, margin: float = 0.15) -> SilhouetteViews:
    """Crop each frame's mask square around the object, `margin` of its side free, to `size` pixels.

    All frames must have masks and poses.
    """
    distances, intrinsics, poses = [], [], []
    for frame in frames:
        if frame.mask is None or frame.camera_from_video is None:
            raise ValueError(f"frame {frame.name} has no mask or no camera pose")
        x, y, width, height = cv2.boundingRect(frame.mask.astype(np.uint8))
        side = max(width, height) * (1 + 2 * margin)
        left, top = x + width / 2 - side / 2, y + height / 2 - side / 2
        # Where the crop's pixels lie in the frame; beyond the frame its border's value goes on, so that
        # an object that leaves the picture is not cut off there.
        steps = (np.arange(size, dtype=np.float32) + 0.5) * (side / size) - 0.5
        # All that is nearest to a pixel of the crop lies in it, or on its edge.
        column, row = max(int(left) - 1, 0), max(int(top) - 1, 0)
        part = fill_small_holes(frame.mask, SMALL_HOLE)[
            row : int(top + side) + 2, column : int(left + side) + 2
        ]
        columns, rows = np.meshgrid(left - column + steps, top - row + steps)
        full = signed_distance(part) * (size / side)
        crop = cv2.remap(
            full,
            columns.astype(np.float32),
            rows.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        distances.append(crop)
        intrinsics.append(frame.camera.cropped(left, top, size, size, size / side).matrix)
        poses.append(frame.camera_from_video)
    return SilhouetteViews(np.stack(distances), np.stack(intrinsics), np.stack(poses))


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the edge of a mask ``(H, W)`` bool, pixels, positive inside, float32."""
    return np.where(mask, _distance(mask) - 0.5, 0.5 - _distance(~mask)).astype(np.float32)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a mask to the nearest one outside it, ``(H, W)`` float64."""
    found = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last digit changes from run to run; the square of a distance between pixels is whole.
    return np.sqrt(np.rint(found.astype(np.float64) ** 2))


def mesh_silhouettes(mesh: Mesh, views: SilhouetteViews) -> np.ndarray:
    """The silhouettes that a mesh in the video's frame would have, ``(N, S, S)`` bool."""
    caster = RayCaster(mesh)
    cameras = [Camera(matrix, views.size, views.size) for matrix in views.intrinsics]
    return np.stack(
        [
            caster.silhouette(pose, camera)
            for pose, camera in zip(views.camera_from_video, cameras, strict=True)
        ]
    )


def overlaps(silhouettes: np.ndarray, views: SilhouetteViews) -> np.ndarray:
    """Intersection over union of silhouettes ``(N, S, S)`` bool with the views' own, ``(N,)``."""
    inside = views.distances > 0
    both = (silhouettes & inside).sum(axis=(1, 2))
    return both / np.maximum((silhouettes | inside).sum(axis=(1, 2)), 1)
