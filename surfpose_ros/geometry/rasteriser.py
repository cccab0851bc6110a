"""What cameras see of a mesh by PyTorch3D's rasteriser: many views in one batch, on a GPU.

Only the faces under the pixels come from it, in single precision; points and depths are computed from them
as the ray caster computes them. So both agree but for pixels and vertices within a cell of an outline.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import (
    CLEARANCE,
    camera_centre,
    pixel_rays,
    points_on_faces,
    steps_to_planes,
    vertex_pixels,
)

# Side in cells of the squares on which vertices are looked up, the margin round them, and how many squares
# are rasterised at once.
CELLS, MARGIN, BATCH = 512, 0.02, 32
# Faces are cut off in front of the camera at this share of the mesh's diagonal.
NEAREST = 1e-4


@lru_cache
def rasteriser_problem(device: str) -> str | None:
    """Why PyTorch3D cannot rasterise on a device, in a few words; None if it can."""
    triangle = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))
    camera = Camera(np.array([[8.0, 0, 3.5], [0, 8.0, 3.5], [0, 0, 1]]), 8, 8)
    try:
        Rasteriser(triangle, device).surface_map(np.eye(4), camera)
    except ImportError as error:
        return f"PyTorch3D cannot be imported ({error})"
    except (AssertionError, RuntimeError) as error:  # no CUDA, or a PyTorch3D built without it
        return f"PyTorch3D cannot rasterise ({str(error).splitlines()[0]})"
    return None


class Rasteriser:
    """Rasterises one mesh; see `Visibility`."""

    def __init__(self, mesh: Mesh, device: str = "cpu") -> None:
        from pytorch3d.structures import Meshes

        self.mesh = mesh
        self.device = torch.device(device)
        # About its middle and of unit size, for single precision and absolute tolerances.
        self._middle = mesh.vertices.mean(axis=0, dtype=np.float64)
        vertices = (mesh.vertices - self._middle) / mesh.diagonal
        self._meshes = Meshes(
            torch.as_tensor(vertices, dtype=torch.float32, device=self.device)[None],
            torch.as_tensor(mesh.faces, device=self.device)[None],
        )

    def visible_vertices(self, camera_from_mesh: np.ndarray, camera: Camera) -> np.ndarray:
        """See `Visibility`."""
        return self.visible_in_views(camera_from_mesh[None], [camera])[0]

    def visible_in_views(self, camera_from_mesh: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
        """See `Visibility`."""
        vertices = self.mesh.vertices.astype(np.float64)
        visible = np.zeros((len(cameras), len(vertices)), bool)
        squares = []
        for index, (pose, camera) in enumerate(zip(camera_from_mesh, cameras, strict=True)):
            pixels, visible[index] = vertex_pixels(vertices, pose, camera)
            squares.append(_square(pixels[visible[index]], camera))
        for start in range(0, len(cameras), BATCH):
            batch = slice(start, start + BATCH)
            faces = self._faces(camera_from_mesh[batch], squares[batch])
            for index, seen_faces in enumerate(faces, start=start):
                seen = visible[index]
                seen[seen] = self._open(
                    np.flatnonzero(seen), seen_faces, camera_from_mesh[index], squares[index]
                )
        return visible

    def surface_map(self, camera_from_mesh: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """See `Visibility`."""
        faces = self._faces(camera_from_mesh[None], [camera])[0]
        centre, directions = camera_centre(camera_from_mesh), pixel_rays(camera_from_mesh, camera)
        points = points_on_faces(self.mesh, faces.ravel(), centre, directions)
        return points.reshape(*faces.shape, 3), faces

    def _open(
        self, vertices: np.ndarray, faces: np.ndarray, pose: np.ndarray, camera: Camera
    ) -> np.ndarray:
        """Which of some vertices (indices ``(P,)``) no face in a picture ``(H, W)`` hides, bool."""
        ends = self.mesh.vertices[vertices].astype(np.float64)
        u, v = np.round(vertex_pixels(ends, pose, camera)[0]).astype(int).T
        shown = faces[v, u]
        centre = camera_centre(pose)
        rays = ends - centre
        corners = self.mesh.vertices.astype(np.float64)[self.mesh.faces[shown]]
        steps = steps_to_planes(corners, centre, rays)
        # The face may end short of the vertex's ray; its depth is nowhere beyond its corners'.
        depths = (corners - centre) @ pose[2, :3] / (rays @ pose[2, :3])[:, None]
        steps = np.clip(steps, depths.min(axis=1), depths.max(axis=1))
        own = (self.mesh.faces[shown] == vertices[:, None]).any(axis=1)
        gaps = (1 - steps) * np.linalg.norm(rays, axis=1)
        return (shown < 0) | own | (gaps < CLEARANCE * self.mesh.diagonal)

    def _faces(self, camera_from_mesh: np.ndarray, cameras: Sequence[Camera]) -> np.ndarray:
        """The face in each pixel of views of one size, ``(N, H, W)`` int64, -1 where there is none."""
        from pytorch3d.renderer.mesh import MeshRasterizer, RasterizationSettings

        settings = RasterizationSettings(
            image_size=(cameras[0].height, cameras[0].width), z_clip_value=NEAREST, perspective_correct=True
        )
        rasterise = MeshRasterizer(self._cameras(camera_from_mesh, cameras), settings)
        found = rasterise(self._meshes.extend(len(cameras))).pix_to_face[..., 0]
        # Faces count on from view to view.
        first = torch.arange(len(cameras), device=self.device)[:, None, None] * len(self.mesh.faces)
        return np.asarray(torch.where(found < 0, found, found - first).cpu().numpy())

    def _cameras(self, camera_from_mesh: np.ndarray, cameras: Sequence[Camera]) -> Any:
        """PyTorch3D's cameras, of the mesh about its middle and of unit size."""
        from pytorch3d.utils import cameras_from_opencv_projection

        scales = np.cbrt(np.linalg.det(camera_from_mesh[:, :3, :3]))[:, None]
        rotations = camera_from_mesh[:, :3, :3] / scales[..., None]
        shifts = (camera_from_mesh[:, :3, :3] @ self._middle + camera_from_mesh[:, :3, 3]) / scales
        matrices = np.stack([camera.matrix for camera in cameras])
        matrices[:, :2, 2] += 0.5  # PyTorch3D's (0, 0) is the corner of the top left pixel, ours its centre
        sizes = np.array([[camera.height, camera.width] for camera in cameras])
        return cameras_from_opencv_projection(
            *(
                torch.as_tensor(values, dtype=torch.float32, device=self.device)
                for values in (rotations, shifts / self.mesh.diagonal, matrices, sizes)
            )
        )


def _square(pixels: np.ndarray, camera: Camera) -> Camera:
    """The camera of a square of `CELLS` cells round pixels ``(P, 2)``."""
    if not len(pixels):
        return camera.cropped(0, 0, CELLS, CELLS, 1.0)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    side = max(float((high - low).max()), 1.0) * (1 + 2 * MARGIN)
    left, top = (low + high - side) / 2 + 0.5
    return camera.cropped(left, top, CELLS, CELLS, CELLS / side)
