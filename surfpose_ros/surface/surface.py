"""A surface S = {V, F}: what one video becomes (paper, section 3.1), and its two files."""

from dataclasses import dataclass

import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh

FORMAT_VERSION = 1


@dataclass(frozen=True)
class SurfaceView:
    """Where one frame of the video was seen from, as corrected by the reconstruction.

    Attributes:
        frame: the frame's name in its video.
        camera: intrinsics of the whole frame.
        camera_from_video: rigid transform, ``(4, 4)`` float64.
    """

    frame: str
    camera: Camera
    camera_from_video: np.ndarray


@dataclass(frozen=True)
class Surface:
    """A coarse mesh with the features of the views that see each vertex.

    Attributes:
        name: of the video.
        category: of the video.
        backbone: that made the features.
        mesh: in the video's frame; watertight where `notes` says nothing else.
        features: ``(V, K, D)`` float16: up to K view features of each vertex, unit length.
        feature_valid: ``(V, K)`` bool; False pads vertices seen in fewer than K views.
        views: the frames used, with corrected cameras.
        metric: True where the mesh is in metres.
        up: unit vector in the video's frame, ``(3,)``; None if nothing tells it.
        up_sigma_deg: standard deviation of `up` in degrees; None with it.
        notes: what a reader should know (not watertight, few views, ...).
    """

    name: str
    category: str
    backbone: str
    mesh: Mesh
    features: np.ndarray
    feature_valid: np.ndarray
    views: list[SurfaceView]
    metric: bool = False
    up: np.ndarray | None = None
    up_sigma_deg: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def mean_features(self) -> np.ndarray:
        """Mean view feature of each vertex, ``(V, D)`` float32, unit length (zero where never seen)."""
        valid = self.feature_valid[..., None].astype(np.float32)
        total = (self.features.astype(np.float32) * valid).sum(axis=1)
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)
