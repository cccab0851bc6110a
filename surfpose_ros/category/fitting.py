"""How each object is brought onto the template: stretched along the canonical axes, then bent.

Objects of a category differ most in their proportions. Bounding boxes say these roughly, but a raised tail
or a pair of ears moves a side of the box and with it everything else. So each axis is fitted to where most
of the two surfaces agree: iterated closest points, the worst pairs left out. Then such pairs bend the
object, at first hardly and in the end as it needs.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.spatial import cKDTree

from surfpose_ros.category.bending import SOFTEST, Bend, Bendable
from surfpose_ros.geometry.meshes import Mesh

ROUNDS = 25  # of closest points
SAMPLES = 1500  # points of an object
TARGETS = 4000  # points of the surface that it is fitted to
AGREEING = 0.8  # share of the pairs that count
MIDDLE = (0.1, 0.9)  # quantiles of the points between which an object begins, where a fit starts
STIFFNESS = np.geomspace(0.1, SOFTEST, 12)  # of the rounds in which an object is bent
MOST = 1.6  # factor by which a fit may differ from its start


@dataclass(frozen=True)
class Fit:
    """Stretches an object along the canonical axes, ``point * scale + shift``, and then bends it.

    Attributes:
        scale: ``(3,)``, above zero.
        shift: ``(3,)``.
        bend: of what is stretched; None for none.
    """

    scale: np.ndarray
    shift: np.ndarray
    bend: Bend | None = None

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points ``(N, 3)`` of the object as the template has them."""
        stretched = self.stretched(points)
        return stretched if self.bend is None else self.bend(stretched)

    def stretched(self, points: np.ndarray) -> np.ndarray:
        """Points ``(N, 3)`` of the object, not yet bent."""
        return points * self.scale + self.shift


def fit_boxes(own: np.ndarray, goal: np.ndarray) -> Fit:
    """The fit that takes one box to another, each as its two corners ``(2, 3)``."""
    scale = (goal[1] - goal[0]) / np.maximum(own[1] - own[0], 1e-6)
    return Fit(scale, goal.mean(axis=0) - scale * own.mean(axis=0))


class TargetSurface:
    """A surface that objects are fitted to."""

    def __init__(self, mesh: Mesh) -> None:
        self._points = surface_points(mesh, TARGETS)
        self._tree = cKDTree(self._points)

    def fit(self, mesh: Mesh) -> Fit:
        """The fit that takes a mesh to the surface."""
        own = surface_points(mesh, SAMPLES)
        start = fit_boxes(*(np.quantile(points, MIDDLE, axis=0) for points in (own, self._points)))
        fit = start
        for _ in range(ROUNDS):
            which, goals = self._pairs(fit(own))
            fit = _regression(own[which], goals, start)
        stretched = fit(own)
        bendable, bent = Bendable(stretched), stretched
        for stiffness in STIFFNESS:
            which, goals = self._pairs(bent)
            bend = bendable.bend(goals, stiffness, which)
            bent = bend(stretched)
        return Fit(fit.scale, fit.shift, bend)

    def _pairs(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points have a partner on the surface, and where; some twice: as nearest, and as met."""
        there, reached = _agreeing(self._tree, points)
        back, met = _agreeing(cKDTree(points), self._points)
        return np.concatenate([there, met]), np.concatenate([self._points[reached], self._points[back]])

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Of fitted points ``(N, 3)`` from the surface, ``(N,)``."""
        return np.asarray(self._tree.query(points)[0])


def surface_points(mesh: Mesh, count: int) -> np.ndarray:
    """Points spread evenly over the surface, the same ones each time, ``(count, 3)``."""
    return np.asarray(trimesh.sample.sample_surface(mesh.trimesh(), count, seed=0)[0])


def _agreeing(tree: cKDTree, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which points are nearest to their neighbours in the tree, and those neighbours."""
    distance, neighbour = tree.query(points)
    near = np.flatnonzero(distance <= np.quantile(distance, AGREEING))
    return near, neighbour[near]


def _regression(own: np.ndarray, other: np.ndarray, start: Fit) -> Fit:
    """Least squares of ``own * scale + shift = other``, axis by axis; near the start."""
    middle, goal = own.mean(axis=0), other.mean(axis=0)
    spread = ((own - middle) ** 2).sum(axis=0)
    scale = ((own - middle) * (other - goal)).sum(axis=0) / np.maximum(spread, 1e-12)
    scale = np.clip(scale, start.scale / MOST, start.scale * MOST)
    return Fit(scale, goal - scale * middle)
