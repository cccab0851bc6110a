"""A surface S = {V, F}: what one video becomes (paper, section 3.1), and its two files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from surfpose_ros.checksum import checksum
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, load_ply, save_ply

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


def save_surface(surface: Surface, folder: Path, made_from: str = "") -> None:
    """Write `<name>.ply` and `<name>.safetensors`; equal surfaces make equal bytes.

    Args:
        surface: to save.
        folder: made if needed.
        made_from: a digest of what it was made from, for `surface_made_from`.
    """
    views = surface.views
    arrays = {
        "features": surface.features,
        "feature_valid": surface.feature_valid,
        "view_intrinsics": np.array([view.camera.matrix for view in views]).reshape(-1, 3, 3),
        "view_sizes": np.array([(view.camera.width, view.camera.height) for view in views]).reshape(-1, 2),
        "view_camera_from_video": np.array([view.camera_from_video for view in views]).reshape(-1, 4, 4),
    }
    head = {
        "format_version": FORMAT_VERSION,
        "name": surface.name,
        "category": surface.category,
        "backbone": surface.backbone,
        "frames": [view.frame for view in views],
        "metric": surface.metric,
        "up": None if surface.up is None else [float(number) for number in surface.up],
        "up_sigma_deg": surface.up_sigma_deg,
        "notes": list(surface.notes),
        "made_from": made_from,
        "sha256": checksum(arrays),
    }
    # The mesh first: a surface is there once its features are.
    save_ply(surface.mesh, folder / f"{surface.name}.ply")
    with atomic_file(folder / f"{surface.name}.safetensors") as temporary:
        contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        about = {"surface": json.dumps(head, allow_nan=False)}
        temporary.write_bytes(save(contiguous, metadata=about))


def load_surface(folder: Path, name: str) -> Surface:
    """Read a surface saved by `save_surface`.

    Raises:
        SurfposeError: missing, unreadable, of an unknown version, or two files that do not belong together.
    """
    path = folder / f"{name}.safetensors"
    head = _read_head(path)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        # Surfaces saved before there was a checksum have none.
        if head.get("sha256") not in (None, checksum(arrays)):
            raise ValueError("its checksum is another")
        mesh = load_ply(path.with_suffix(".ply"))
        if len(mesh.vertices) != len(arrays["features"]):
            raise SurfposeError(
                f"{path}: does not belong to {path.with_suffix('.ply').name}; reconstruct it again"
            )
        views = [
            SurfaceView(frame, Camera(matrix, int(width), int(height)), pose)
            for frame, matrix, (width, height), pose in zip(
                head["frames"],
                arrays["view_intrinsics"],
                arrays["view_sizes"],
                arrays["view_camera_from_video"],
                strict=True,
            )
        ]
        return Surface(
            name=head["name"],
            category=head["category"],
            backbone=head["backbone"],
            mesh=mesh,
            features=arrays["features"],
            feature_valid=arrays["feature_valid"],
            views=views,
            metric=head["metric"],
            up=None if head["up"] is None else np.array(head["up"]),
            up_sigma_deg=head["up_sigma_deg"],
            notes=tuple(head["notes"]),
        )
    except (KeyError, ValueError, SafetensorError) as error:
        raise SurfposeError(f"{path}: damaged surface ({error}); reconstruct it again") from error


def surface_made_from(folder: Path, name: str) -> str | None:
    """The digest given to `save_surface`; None if the surface is missing or cannot be read."""
    path = folder / f"{name}.safetensors"
    if not path.with_suffix(".ply").exists():
        return None
    try:
        return str(_read_head(path)["made_from"])
    except (SurfposeError, KeyError):
        return None


def _read_head(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            head = json.loads((file.metadata() or {}).get("surface", "null"))
    except FileNotFoundError:
        raise SurfposeError(f"{path}: no such surface; make it with surfpose reconstruct") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise SurfposeError(f"{path}: cannot be read as a surface ({error})") from error
    if not isinstance(head, dict) or "format_version" not in head:
        raise SurfposeError(f"{path}: not a surface")
    if head["format_version"] != FORMAT_VERSION:
        raise SurfposeError(
            f"{path}: surface of format version {head['format_version']!r}, and this surfpose_ros reads "
            f"version {FORMAT_VERSION}: update the package or reconstruct it again"
        )
    return head
