"""The mean shape of aligned objects: the most typical one, moved until it is the mean, then averaged.

Thin parts, such as wings and legs, never quite meet where objects are only laid over each other, and an
average of what is laid so has none. So the others are bent onto the most typical object first. That object
is then moved to where all have its parts in the mean. Where a quarter of the objects, bent onto it, are
solid is the mean shape: what few of them have is not on it, nor what is wrong with the surface of one.
"""

from collections.abc import Sequence

import numpy as np
import trimesh
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from surfpose_ros.category.bending import Bendable
from surfpose_ros.category.fitting import SAMPLES, Fit, TargetSurface, fit_boxes, surface_points
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evenly import evenly
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

ROUNDS = 3  # of moving the typical object to the mean
COMPARED = 30  # objects that one is compared with, to tell how typical it is
EDGE = 0.02  # longest of a mesh that is to be bent, in diagonals
SOLID = 0.25  # share of the objects that are solid inside the mean shape
CELLS = 64  # along the longest side of the volume in which shapes are averaged
SKIN = 0.75  # cells so near to a surface are solid too, in cells, so that no part is too thin to be found
FAR = 0.04  # in diagonals of a shape: what is farther from it is another part
SMOOTHINGS = 5  # rounds of a filter that does not shrink (Taubin, 1995)
SHELL = 20_000  # points of a surface that cells may be near to
NOTHING_SHARED = "the aligned meshes share no volume; look at the alignment's picture"


def mean_shape(meshes: Sequence[Mesh]) -> trimesh.Trimesh:
    """The mean of meshes in the canonical frame, closed.

    Raises:
        SurfposeError: the meshes share no volume.
    """
    if min(np.ptp(mesh.vertices, axis=0).min() for mesh in meshes) <= 0:
        raise SurfposeError(f"{NOTHING_SHARED}; one of them is flat")
    moving = _typical(meshes)
    for _ in range(ROUNDS):
        moving.vertices = _mean_places(moving, meshes, _fits(moving, meshes))
    fits = _fits(moving, meshes)
    shape = _solid(meshes, fits)
    shape.vertices = _mean_surface(shape, meshes, fits)
    trimesh.smoothing.filter_taubin(shape, iterations=SMOOTHINGS)
    shape.vertices = _mean_places(shape, meshes, fits)
    return shape


def _fits(shape: trimesh.Trimesh, meshes: Sequence[Mesh]) -> list[Fit]:
    target = TargetSurface(mesh_from_trimesh(shape))
    return [target.fit(mesh) for mesh in meshes]


def _typical(meshes: Sequence[Mesh]) -> trimesh.Trimesh:
    """The mesh that is the least far from the others, all brought to their mean box, in small faces."""
    half = _mean_extent([np.ptp(mesh.vertices, axis=0) for mesh in meshes]) / 2
    boxed = [fit_boxes(mesh.trimesh().bounds, np.stack([-half, half])) for mesh in meshes]
    clouds = [fit(surface_points(mesh, SAMPLES)) for fit, mesh in zip(boxed, meshes, strict=True)]
    trees = [cKDTree(cloud) for cloud in evenly(clouds, COMPARED)]
    chosen = int(np.argmin([sum(tree.query(cloud)[0].mean() for tree in trees) for cloud in clouds]))
    typical = _fine(meshes[chosen])
    typical.vertices = boxed[chosen](np.asarray(typical.vertices))
    return typical


def _mean_extent(extents: Sequence[np.ndarray]) -> np.ndarray:
    """Mean proportions of boxes of the given sides, as a box of unit diagonal, ``(3,)``."""
    logs = [np.log(np.maximum(extent, 1e-6) / np.linalg.norm(extent)) for extent in extents]
    mean = np.exp(np.mean(logs, axis=0))
    return np.asarray(mean / np.linalg.norm(mean))


def _mean_surface(shape: trimesh.Trimesh, meshes: Sequence[Mesh], fits: Sequence[Fit]) -> np.ndarray:
    """Where the fitted meshes have their surfaces in the mean, for each vertex of a shape, ``(V, 3)``."""
    vertices = np.asarray(shape.vertices)
    places = [vertices]
    for mesh, fit in zip(meshes, fits, strict=True):
        shell = fit(surface_points(mesh, SHELL))
        distance, nearest = cKDTree(shell).query(vertices, k=4)
        places.append(np.where(distance[:, :1] < FAR * shape.scale, shell[nearest].mean(axis=1), np.nan))
    return np.asarray(np.nanmean(places, axis=0))


def _mean_places(shape: trimesh.Trimesh, meshes: Sequence[Mesh], fits: Sequence[Fit]) -> np.ndarray:
    """Where the objects fitted to a shape have its vertices in the mean, ``(V, 3)``.

    Without it, stretching and bending would go to what the shape happens to be.
    """
    vertices, moves = np.asarray(shape.vertices), []
    for mesh, fit in zip(meshes, fits, strict=True):
        own = surface_points(mesh, SAMPLES)
        straighten = Bendable(fit(own)).bend(fit.stretched(own))
        moves.append(straighten(vertices) - vertices)
    drift = np.exp(np.mean([np.log(fit.scale) for fit in fits], axis=0))
    return np.asarray((vertices + np.mean(moves, axis=0)) / drift)


def _solid(meshes: Sequence[Mesh], fits: Sequence[Fit]) -> trimesh.Trimesh:
    """The largest closed surface on which enough of the fitted meshes are solid."""
    fitted = []
    for mesh, fit in zip(meshes, fits, strict=True):
        fine = _fine(mesh)
        fitted.append(trimesh.Trimesh(fit(np.asarray(fine.vertices)), fine.faces, process=False))
    corners = np.concatenate([part.bounds for part in fitted])
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = (high - low).max() / CELLS
    shape = np.ceil((high - low) / size).astype(int)
    ticks = [low[axis] + (np.arange(shape[axis]) + 0.5) * size for axis in range(3)]
    centres = np.stack(np.meshgrid(*ticks, indexing="ij"), axis=-1).reshape(-1, 3)
    share = np.mean([_inside(part, centres, SKIN * size) for part in fitted], axis=0).reshape(shape)
    smooth = gaussian_filter(np.pad(share, 2), sigma=0.7)
    if smooth.max() <= SOLID:
        raise SurfposeError(NOTHING_SHARED)
    points, faces, _, _ = marching_cubes(smooth, level=SOLID)
    surface = trimesh.Trimesh(low + (points - 1.5) * size, faces)
    surface = max(surface.split(only_watertight=False), key=lambda part: len(part.faces))
    if surface.volume < 0:
        surface.invert()
    return surface


def _inside(part: trimesh.Trimesh, centres: np.ndarray, skin: float) -> np.ndarray:
    """Which points ``(N, 3)`` are inside a mesh or within `skin` of its surface."""
    shell = cKDTree(surface_points(mesh_from_trimesh(part), SHELL))
    near = np.isfinite(shell.query(centres, distance_upper_bound=skin)[0])
    return np.asarray(near | part.ray.contains_points(centres))


def _fine(mesh: Mesh) -> trimesh.Trimesh:
    """The mesh with edges so short that it can be bent."""
    edge = EDGE * mesh.diagonal
    return trimesh.Trimesh(*trimesh.remesh.subdivide_to_size(mesh.vertices, mesh.faces, edge, max_iter=20))
