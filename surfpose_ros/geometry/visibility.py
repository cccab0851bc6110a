"""What a camera sees of a mesh: visible vertices, and the surface point of each pixel.

Two backends give the same answers: rays cast on the CPU, and PyTorch3D's rasteriser on a GPU.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh

BACKENDS = ("auto", "embree", "pytorch3d")
# What lies nearer to a vertex than this share of the mesh's diagonal does not hide it: its own faces.
CLEARANCE = 1e-2


class Visibility(Protocol):
    """What cameras see of one mesh."""

    mesh: Mesh

    def visible_vertices(self, camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
        """Which vertices the camera sees: in front of it, inside the image, nothing in between.

        Args:
            camera_from_mesh: rigid transform or similarity, ``(4, 4)``.
            camera: intrinsics and image size.

        Returns:
            ``(V,)`` bool.
        """

    def visible_in_views(self, camera_from_mesh: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
        """The same of many views, poses ``(N, 4, 4)``: ``(N, V)`` bool."""

    def surface_map(self, camera_from_mesh: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """The surface point that each pixel shows.

        Returns:
            Points in the mesh's frame, ``(H, W, 3)`` float32, zero where there is none; and the
            face each lies on, ``(H, W)`` int64, -1 where there is none.
        """


def visibility_of(mesh: Mesh, backend: str = "auto", device: str = "cpu") -> Visibility:
    """The backend that `choose_backend` chooses, for one mesh.

    Raises:
        SurfposeError: pytorch3d was asked for and does not work here.
    """
    if choose_backend(backend, device) == "embree":
        return RayCaster(mesh)
    from surfpose_ros.geometry.rasteriser import Rasteriser

    return Rasteriser(mesh, device)


def choose_backend(backend: str, device: str) -> str:
    """What `backend`, one of `BACKENDS`, comes to: auto is pytorch3d where it works on a GPU, else embree.

    Args:
        backend: as asked for.
        device: torch device of pytorch3d; embree runs on the CPU.

    Raises:
        SurfposeError: pytorch3d was asked for by name and does not work here.
    """
    if backend == "embree" or (backend == "auto" and torch.device(device).type == "cpu"):
        return "embree"
    from surfpose_ros.geometry.rasteriser import rasteriser_problem

    problem = rasteriser_problem(device)
    if problem is None:
        return "pytorch3d"
    if backend == "auto":
        return "embree"
    raise SurfposeError(
        f"visibility by pytorch3d on {device}: {problem}; build it as docs/dependencies.md says, or choose "
        "--visibility embree"
    )


class RayCaster:
    """Casts rays at one mesh; building it costs some milliseconds, so keep it for many views."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        # Embree's own units: scaled to unit size for its absolute tolerances.
        self._intersector = RayMeshIntersector(mesh.trimesh(), scale_to_box=True)
        self._corners = trimesh.bounds.corners([mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)])

    def visible_vertices(self, camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
        """See `Visibility`."""
        vertices = self.mesh.vertices.astype(np.float64)
        seen = vertex_pixels(vertices, camera_from_mesh, camera)[1]
        rays = camera_centre(camera_from_mesh) - vertices[seen]
        # Start just off the surface towards the camera, so that the vertex's own faces do not hide it.
        starts = vertices[seen] + CLEARANCE * self.mesh.diagonal * rays / np.linalg.norm(
            rays, axis=1, keepdims=True
        )
        seen[seen] = ~self._intersector.intersects_any(starts, rays)
        return seen

    def visible_in_views(self, camera_from_mesh: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
        """See `Visibility`."""
        views = zip(camera_from_mesh, cameras, strict=True)
        return np.stack([self.visible_vertices(pose, camera) for pose, camera in views])

    def open_towards(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Which points ``(P, 3)`` on the mesh nothing hides from far away in a direction, ``(P,)`` bool."""
        direction = direction / np.linalg.norm(direction)
        starts = points + 1e-3 * self.mesh.diagonal * direction
        return ~self._intersector.intersects_any(starts, np.broadcast_to(direction, starts.shape))

    def surface_map(self, camera_from_mesh: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """See `Visibility`."""
        directions = pixel_rays(camera_from_mesh, camera)
        starts = np.broadcast_to(camera_centre(camera_from_mesh), directions.shape)
        faces = self._intersector.intersects_first(starts, directions)
        points = points_on_faces(self.mesh, faces, starts[0], directions)
        shape = (camera.height, camera.width)
        return points.reshape(*shape, 3), faces.reshape(shape)

    def silhouette(self, camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
        """Which pixels show the mesh, ``(H, W)`` bool: as `surface_map` says it, in half the time."""
        shown = np.zeros((camera.height, camera.width), bool)
        left, top, right, bottom = self._window(camera_from_mesh, camera)
        part = camera.cropped(left, top, right - left, bottom - top, 1.0)
        directions = pixel_rays(camera_from_mesh, part)
        starts = np.broadcast_to(camera_centre(camera_from_mesh), directions.shape)
        hit = self._intersector.intersects_any(starts, directions)
        shown[top:bottom, left:right] = hit.reshape(part.height, part.width)
        return shown

    def _window(self, camera_from_mesh: np.ndarray, camera: Camera) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the pixels outside of which nothing of the mesh can be seen."""
        if ((self._corners @ camera_from_mesh[2, :3] + camera_from_mesh[2, 3]) <= 0).any():
            return 0, 0, camera.width, camera.height
        pixels = vertex_pixels(self._corners, camera_from_mesh, camera)[0]
        size = [camera.width, camera.height]
        left, top = np.clip(np.floor(pixels.min(axis=0)), 0, size).astype(int).tolist()
        right, bottom = np.clip(np.ceil(pixels.max(axis=0)) + 1, [left, top], size).astype(int).tolist()
        return left, top, right, bottom


def camera_centre(camera_from_mesh: np.ndarray) -> np.ndarray:
    """The camera in the mesh's frame, ``(3,)``."""
    return np.asarray(-np.linalg.solve(camera_from_mesh[:3, :3], camera_from_mesh[:3, 3]))


def vertex_pixels(
    vertices: np.ndarray, camera_from_mesh: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(V, 2)`` of vertices ``(V, 3)``, and which lie in front of the camera and in its image."""
    in_camera = vertices @ camera_from_mesh[:3, :3].T + camera_from_mesh[:3, 3]
    pixels = in_camera @ camera.matrix.T
    pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)
    size = np.array([camera.width, camera.height])
    inside = (in_camera[:, 2] > 0) & ((pixels >= -0.5) & (pixels <= size - 0.5)).all(axis=1)
    return pixels, inside


def pixel_rays(camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
    """Directions in the mesh's frame in which the pixels look, row by row, ``(H * W, 3)``."""
    mesh_from_pixel = np.linalg.inv(camera.matrix @ camera_from_mesh[:3, :3])
    v, u = np.mgrid[: camera.height, : camera.width].reshape(2, -1).astype(np.float64)
    return np.stack([u, v, np.ones_like(u)], axis=1) @ mesh_from_pixel.T


def steps_to_planes(corners: np.ndarray, centre: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How many of its directions ``(R, 3)`` each ray goes to the plane of its face ``(R, 3, 3)``."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    toward = np.einsum("ij,ij->i", normals, directions)
    return np.asarray(
        np.einsum("ij,ij->i", normals, corners[:, 0] - centre) / np.where(toward, toward, 1e-30)
    )


def points_on_faces(
    mesh: Mesh, faces: np.ndarray, centre: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Where rays ``(R, 3)`` meet their faces ``(R,)``; zero where the face is -1; ``(R, 3)`` float32."""
    hit = faces >= 0
    corners = mesh.vertices.astype(np.float64)[mesh.faces[faces[hit]]]
    steps = steps_to_planes(corners, centre, directions[hit])
    points = np.zeros((len(directions), 3), np.float32)
    points[hit] = centre + steps[:, None] * directions[hit]
    return points
