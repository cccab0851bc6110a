"""The template: the mean shape of the aligned videos, in a few hundred vertices that training can name."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import trimesh
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree

from surfpose_ros.category.fitting import Fit, TargetSurface
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.mean_shape import FAR, mean_shape
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh


@dataclass(frozen=True)
class Template:
    """Mean shape and its spread.

    Attributes:
        mesh: in the canonical frame, of unit diagonal; its origin is the middle of the objects' boxes.
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
    shape = mesh_from_trimesh(_simplified(mean_shape(meshes), vertices))
    target = TargetSurface(shape)
    fits = [target.fit(mesh) for mesh in meshes]
    fitted = [fit(mesh.vertices) for fit, mesh in zip(fits, meshes, strict=True)]
    middle = np.median([(points.min(axis=0) + points.max(axis=0)) / 2 for points in fitted], axis=0)
    points = (shape.vertices - middle) / shape.diagonal
    extents = np.array([np.ptp(shape.vertices, axis=0) / fit.scale for fit in fits])
    extents /= np.linalg.norm(extents, axis=1, keepdims=True)
    spread = np.log(extents).std(axis=0) if len(meshes) > 1 else np.full(3, 0.1)
    return Template(Mesh(points.astype(np.float32), shape.faces), np.maximum(spread, 0.02))


class Labeller:
    """Tells which template vertex a point of an object is."""

    def __init__(self, template: Template) -> None:
        self._surface = TargetSurface(template.mesh)
        self._vertices = cKDTree(template.mesh.vertices)

    def fit(self, mesh: Mesh) -> Fit:
        """How an object, in the canonical frame, is brought onto the template."""
        return self._surface.fit(mesh)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The nearest vertex for fitted points ``(N, 3)``; `CLUTTER` where the template has nothing.

        A leg that stands where few objects have one would be named after the belly, and turn the object.
        """
        return np.where(self._surface.distance(points) > FAR, CLUTTER, self._vertices.query(points)[1])


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
