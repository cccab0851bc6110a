"""The template: the mean shape of the aligned videos, and the boxes that relate each object to it.

Objects of a category differ most in their proportions, so points are compared in box coordinates: relative
to the bounding box along the canonical axes. The template is the surface on which half of the objects,
each stretched to the mean box, are solid.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.cluster.vq import kmeans2
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

GRID = 64  # cells along each side of the box in which shapes are averaged


@dataclass(frozen=True)
class Box:
    """An axis-aligned bounding box in the canonical frame.

    Attributes:
        centre: ``(3,)``.
        extent: full side lengths, ``(3,)``.
    """

    centre: np.ndarray
    extent: np.ndarray

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Box coordinates of points ``(..., 3)``: -0.5 to 0.5 from side to side."""
        return (points - self.centre) / self.extent


@dataclass(frozen=True)
class Template:
    """Mean shape and its spread.

    Attributes:
        mesh: in the canonical frame, its box centred at the origin.
        extent_log_std: standard deviation of the logarithm of the objects' side lengths at equal
            diagonal, ``(3,)``: how much proportions vary.
    """

    mesh: Mesh
    extent_log_std: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """Side lengths of the mean box, ``(3,)``."""
        return np.ptp(self.mesh.vertices, axis=0)


def bounding_box(mesh: Mesh) -> Box:
    """The mesh's own axis-aligned box."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return Box((low + high) / 2, np.maximum(high - low, 1e-6))


def mean_template(meshes: list[Mesh], vertices: int = 500) -> Template:
    """The mean shape of meshes in the canonical frame.

    Args:
        meshes: of the aligned videos, canonical frame.
        vertices: about how many the template gets.

    Raises:
        SurfposeError: the meshes share no volume.
    """
    boxes = [bounding_box(mesh) for mesh in meshes]
    occupancy = np.mean([_occupancy(mesh, box) for mesh, box in zip(meshes, boxes, strict=True)], axis=0)
    smooth = gaussian_filter(occupancy, sigma=1.0)
    if smooth.max() <= 0.5:
        raise SurfposeError("the aligned meshes share no volume; look at the alignment's picture")
    corners, faces, _, _ = marching_cubes(np.pad(smooth, 1), level=0.5)
    extents = np.array([box.extent / np.linalg.norm(box.extent) for box in boxes])
    mean_extent = np.exp(np.log(extents).mean(axis=0))
    mean_extent /= np.linalg.norm(mean_extent)
    solid = trimesh.Trimesh(corners, faces)
    solid = max(solid.split(only_watertight=False), key=lambda part: len(part.faces))
    mesh = mesh_from_trimesh(_simplified(solid, vertices))
    box = bounding_box(mesh)
    points = box.coordinates(mesh.vertices) * mean_extent
    faces = mesh.faces if trimesh.Trimesh(points, mesh.faces).volume > 0 else mesh.faces[:, ::-1]
    spread = np.log(extents).std(axis=0) if len(meshes) > 1 else np.full(3, 0.1)
    return Template(Mesh(points.astype(np.float32), np.ascontiguousarray(faces)), np.maximum(spread, 0.02))


def nearest_vertices(template: Template, box: Box, points: np.ndarray) -> np.ndarray:
    """The template vertex for each point ``(N, 3)`` on an object with that box, ``(N,)``."""
    mapped = box.coordinates(points) * template.extent
    return cKDTree(template.mesh.vertices).query(mapped)[1]


def _occupancy(mesh: Mesh, box: Box) -> np.ndarray:
    """Which cells of the object's own box are solid, ``(GRID, GRID, GRID)`` float32."""
    stretched = trimesh.Trimesh(box.coordinates(mesh.vertices), mesh.faces, process=False)
    ticks = (np.arange(GRID) + 0.5) / GRID - 0.5
    cells = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1)
    inside = stretched.ray.contains_points(cells.reshape(-1, 3))
    return inside.reshape(GRID, GRID, GRID).astype(np.float32)


def _simplified(mesh: trimesh.Trimesh, vertices: int) -> trimesh.Trimesh:
    """About `vertices` vertices, evenly spread: each the centre of a cluster of the dense mesh's.

    Quadric decimation would leave hardly a vertex on flat parts, and a cell there could not say where it
    is. Normals keep the two sides of a thin wall in different clusters.
    """
    size = np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    features = np.hstack([mesh.vertices / size, 0.05 * mesh.vertex_normals])
    centres, cluster = kmeans2(features, vertices, minit="++", seed=0)
    faces = cluster[mesh.faces]
    distinct = (np.diff(np.sort(faces, axis=1), axis=1) > 0).all(axis=1)
    simple = trimesh.Trimesh(centres[:, :3] * size, faces[distinct], process=False)
    simple.update_faces(simple.unique_faces())
    simple.remove_unreferenced_vertices()
    return simple
