"""The template: the mean shape of the aligned videos, each stretched along its axes to the others.

It is the surface on which a quarter of the objects are solid: thin parts, such as handles, which never
quite meet, stay whole. What few objects have is not on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import trimesh
from scipy.cluster.vq import kmeans2
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from surfpose_ros.category.fitting import Fit, TargetSurface, fit_boxes, surface_points
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

SOLID = 0.25  # share of the objects that are solid inside the template
CELLS = 64  # along the longest side of the volume in which shapes are averaged
ROUNDS = 3  # of averaging shapes, and stretching each to the average
FAR = 0.04  # in diagonals of the template: parts farther from it are none of its vertices


@dataclass(frozen=True)
class Template:
    """Mean shape and its spread.

    Attributes:
        mesh: in the canonical frame, its box centred at the origin and of unit diagonal.
        extent_log_std: standard deviation of the logarithm of the objects' side lengths at equal
            diagonal, ``(3,)``: how much proportions vary.
    """

    mesh: Mesh
    extent_log_std: np.ndarray

    @cached_property
    def extent(self) -> np.ndarray:
        """Side lengths of the mean box, ``(3,)``."""
        return np.ptp(self.mesh.vertices, axis=0)


def mean_template(meshes: Sequence[Mesh], vertices: int = 500) -> Template:
    """The mean shape of meshes in the canonical frame.

    Args:
        meshes: of the aligned videos, canonical frame.
        vertices: about how many the template gets.

    Raises:
        SurfposeError: the meshes share no volume.
    """
    half = _mean_extent([np.ptp(mesh.vertices, axis=0) for mesh in meshes]) / 2
    goal = np.stack([-half, half])
    fits = [fit_boxes(mesh.trimesh().bounds, goal) for mesh in meshes]
    for _ in range(ROUNDS):
        surface = _common_surface(meshes, fits)
        target = TargetSurface(np.asarray(surface.vertices))
        fits = [target.fit(mesh) for mesh in meshes]
        # Stretching must not drift away from what the objects are on average.
        drift = np.exp(np.mean([np.log(fit.scale) for fit in fits], axis=0))
        fits = [Fit(fit.scale / drift, fit.shift / drift) for fit in fits]
        surface.apply_scale(1 / drift)
    mesh = mesh_from_trimesh(_simplified(surface, vertices))
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    points = (mesh.vertices - (low + high) / 2) / np.linalg.norm(high - low)
    extents = np.array([(high - low) / fit.scale for fit in fits])
    extents /= np.linalg.norm(extents, axis=1, keepdims=True)
    spread = np.log(extents).std(axis=0) if len(meshes) > 1 else np.full(3, 0.1)
    return Template(Mesh(points.astype(np.float32), mesh.faces), np.maximum(spread, 0.02))


class Labeller:
    """Tells which template vertex a point of an object is."""

    def __init__(self, template: Template) -> None:
        self._surface = TargetSurface(surface_points(template.mesh, 4000))
        self._vertices = cKDTree(template.mesh.vertices)

    def fit(self, mesh: Mesh) -> Fit:
        """How an object, in the canonical frame, is stretched onto the template."""
        return self._surface.fit(mesh)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The nearest vertex for fitted points ``(N, 3)``; `CLUTTER` where the template has nothing.

        A leg that stands where few objects have one would be named after the belly, and turn the object.
        """
        return np.where(self._surface.distance(points) > FAR, CLUTTER, self._vertices.query(points)[1])


def _mean_extent(extents: Sequence[np.ndarray]) -> np.ndarray:
    """Mean proportions of boxes of the given sides, as a box of unit diagonal, ``(3,)``."""
    logs = [np.log(np.maximum(extent, 1e-6) / np.linalg.norm(extent)) for extent in extents]
    mean = np.exp(np.mean(logs, axis=0))
    return np.asarray(mean / np.linalg.norm(mean))


def _common_surface(meshes: Sequence[Mesh], fits: Sequence[Fit]) -> trimesh.Trimesh:
    """The largest closed surface on which enough of the fitted meshes are solid."""
    stretched = [
        trimesh.Trimesh(fit(mesh.vertices), mesh.faces, process=False)
        for mesh, fit in zip(meshes, fits, strict=True)
    ]
    corners = np.concatenate([part.bounds for part in stretched])
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = (high - low).max() / CELLS
    shape = np.ceil((high - low) / size).astype(int)
    ticks = [low[axis] + (np.arange(shape[axis]) + 0.5) * size for axis in range(3)]
    centres = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    solid = np.mean([part.ray.contains_points(centres) for part in stretched], axis=0).reshape(shape)
    smooth = gaussian_filter(np.pad(solid, 2), sigma=1.0)
    if smooth.max() <= SOLID:
        raise SurfposeError("the aligned meshes share no volume; look at the alignment's picture")
    points, faces, _, _ = marching_cubes(smooth, level=SOLID)
    surface = trimesh.Trimesh(low + (points - 1.5) * size, faces)
    surface = max(surface.split(only_watertight=False), key=lambda part: len(part.faces))
    if surface.volume < 0:
        surface.invert()
    return surface


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
