"""Triangle meshes: vertices, faces, files, and the checks that make one fit for a surface."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import atomic_file


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: ``(V, 3)`` float32, in the frame that the owner's documentation names.
        faces: ``(F, 3)`` int64, counter-clockwise seen from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def diagonal(self) -> float:
        """Length of the bounding box's diagonal."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))

    @property
    def normals(self) -> np.ndarray:
        """Outward unit normal of every vertex, ``(V, 3)``."""
        return np.array(self.trimesh().vertex_normals, dtype=np.float32)

    @property
    def vertex_areas(self) -> np.ndarray:
        """Surface area of each vertex, a third of each of its faces', ``(V,)`` float32."""
        shares = np.repeat(self.trimesh().area_faces / 3, 3)
        return np.bincount(self.faces.ravel(), shares, len(self.vertices)).astype(np.float32)

    def trimesh(self) -> trimesh.Trimesh:
        """The same mesh for trimesh's functions, vertices and faces untouched."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)

    def transformed(self, target_from_source: np.ndarray) -> "Mesh":
        """The mesh in another frame, through a ``(4, 4)`` similarity."""
        moved = self.vertices @ target_from_source[:3, :3].T + target_from_source[:3, 3]
        return Mesh(moved.astype(np.float32), self.faces)


def mesh_from_trimesh(mesh: trimesh.Trimesh) -> Mesh:
    """A `Mesh` of a trimesh."""
    return Mesh(np.array(mesh.vertices, dtype=np.float32), np.array(mesh.faces, dtype=np.int64))


def save_ply(mesh: Mesh, path: Path) -> None:
    """Write a binary PLY, whole or not at all."""
    with atomic_file(path) as temporary:
        mesh.trimesh().export(temporary, file_type="ply")


def load_ply(path: Path) -> Mesh:
    """Read a PLY written by `save_ply`, vertices in the same order.

    Raises:
        SurfposeError: missing, unreadable, or without finite vertices and faces.
    """
    try:
        # An open file, so that no texture that the file may name is looked for.
        with path.open("rb") as file:
            mesh = mesh_from_trimesh(trimesh.load_mesh(file, file_type="ply", process=False))
    except FileNotFoundError:
        raise SurfposeError(f"{path}: no such mesh") from None
    except Exception as error:  # trimesh raises whatever its parser trips over
        reason = " ".join(str(error).split())
        raise SurfposeError(f"{path}: not a readable PLY mesh ({reason})") from error
    if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
        raise SurfposeError(f"{path}: the mesh is empty or has vertices that are not finite")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise SurfposeError(f"{path}: a face names a vertex that is not there")
    return mesh
