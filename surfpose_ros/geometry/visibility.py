"""What a camera sees of a mesh, by casting rays: visible vertices, and the surface point of each pixel."""

import numpy as np
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh


class RayCaster:
    """Casts rays at one mesh; building it costs some milliseconds, so keep it for many views."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._trimesh: trimesh.Trimesh = mesh.trimesh()
        # Embree's own units: scaled to unit size for its absolute tolerances.
        self._intersector = RayMeshIntersector(self._trimesh, scale_to_box=True)

    def visible_vertices(self, camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
        """Which vertices the camera sees: in front of it, inside the image, nothing in between.

        Args:
            camera_from_mesh: rigid transform or similarity, ``(4, 4)``.
            camera: intrinsics and image size.

        Returns:
            ``(V,)`` bool.
        """
        vertices = self.mesh.vertices.astype(np.float64)
        in_camera = vertices @ camera_from_mesh[:3, :3].T + camera_from_mesh[:3, 3]
        pixels = in_camera @ camera.matrix.T
        pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)
        size = np.array([camera.width, camera.height])
        seen = (in_camera[:, 2] > 0) & ((pixels >= -0.5) & (pixels <= size - 0.5)).all(axis=1)
        centre = -np.linalg.solve(camera_from_mesh[:3, :3], camera_from_mesh[:3, 3])
        rays = centre - vertices[seen]
        # Start just off the surface towards the camera, so that the vertex's own faces do not hide it.
        starts = vertices[seen] + 1e-2 * self.mesh.diagonal * rays / np.linalg.norm(
            rays, axis=1, keepdims=True
        )
        seen[seen] = ~self._intersector.intersects_any(starts, rays)
        return seen

    def open_towards(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Which points ``(P, 3)`` on the mesh nothing hides from far away in a direction, ``(P,)`` bool."""
        direction = direction / np.linalg.norm(direction)
        starts = points + 1e-3 * self.mesh.diagonal * direction
        return ~self._intersector.intersects_any(starts, np.broadcast_to(direction, starts.shape))

    def surface_map(self, camera_from_mesh: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """The surface point that each pixel shows.

        Returns:
            Points in the mesh's frame, ``(H, W, 3)`` float32, zero where there is none; and the
            face each lies on, ``(H, W)`` int64, -1 where there is none.
        """
        v, u = np.mgrid[: camera.height, : camera.width].reshape(2, -1)
        pixels = np.stack([u, v, np.ones_like(u)], axis=1)
        in_camera = pixels @ np.linalg.inv(camera.matrix).T
        centre = -np.linalg.solve(camera_from_mesh[:3, :3], camera_from_mesh[:3, 3])
        directions = np.linalg.solve(camera_from_mesh[:3, :3], in_camera.T).T
        starts = np.broadcast_to(centre, directions.shape)
        faces = self._intersector.intersects_first(starts, directions)
        hit = faces >= 0
        corners = self._trimesh.triangles[faces[hit]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        toward = np.einsum("ij,ij->i", normals, directions[hit])
        depth = np.einsum("ij,ij->i", normals, corners[:, 0] - centre) / np.where(toward, toward, 1e-30)
        points = np.zeros((len(directions), 3), np.float32)
        points[hit] = centre + depth[:, None] * directions[hit]
        shape = (camera.height, camera.width)
        return points.reshape(*shape, 3), faces.reshape(shape)
