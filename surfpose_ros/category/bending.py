"""Smooth displacements: what is left of an object's shape when it has been stretched onto another.

Wings that are swept more, a tail that stands higher, a roof that begins further back. A displacement is a
sum of Gaussians about some points of the object, the least that brings it near its goals.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

CENTRES = 60  # Gaussians a bend
WIDTH = 0.15  # of a Gaussian, in diagonals of the object
SOFTEST = 0.002  # least stiffness


@dataclass(frozen=True)
class Bend:
    """Moves points smoothly.

    Attributes:
        centres: of the Gaussians, ``(C, 3)``.
        moves: what each adds at its centre, ``(C, 3)``.
        width: their standard deviation.
    """

    centres: np.ndarray
    moves: np.ndarray
    width: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points ``(N, 3)``, moved."""
        return points + _gaussians(points, self.centres, self.width) @ self.moves


class Bendable:
    """Points that are bent towards goals, again and again: what depends on them alone is computed once."""

    def __init__(self, points: np.ndarray) -> None:
        """The points before they are bent, ``(N, 3)``."""
        self._points = points
        self._width = WIDTH * float(np.linalg.norm(np.ptp(points, axis=0)))
        self._centres = _far_apart(points, CENTRES)
        self._basis = _gaussians(points, self._centres, self._width)
        self._tension = _gaussians(self._centres, self._centres, self._width)

    def bend(self, goals: np.ndarray, stiffness: float = SOFTEST, which: np.ndarray | None = None) -> Bend:
        """The bend that brings points near their goals: regularised least squares.

        Args:
            goals: ``(M, 3)``.
            stiffness: how much the size of the bend counts beside the mean squared distance to the goals.
            which: the point that each goal is for, ``(M,)``; None if there is one for each.
        """
        which = np.arange(len(self._points)) if which is None else which
        basis, wanted = self._basis[which], goals - self._points[which]
        left = basis.T @ basis / len(which) + stiffness * self._tension
        left[np.diag_indices_from(left)] += 1e-9  # Gaussians of points at the same place are one
        moves = np.linalg.solve(left, basis.T @ wanted / len(which))
        return Bend(self._centres, moves, self._width)


def _far_apart(points: np.ndarray, count: int) -> np.ndarray:
    """Some of the points, each the farthest from those before it, ``(count, 3)``."""
    chosen = [points[0]]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - chosen[-1], axis=1))
        chosen.append(points[distance.argmax()])
    return np.array(chosen)


def _gaussians(points: np.ndarray, centres: np.ndarray, width: float) -> np.ndarray:
    """Each Gaussian at each point, ``(N, C)``."""
    return np.asarray(np.exp(-0.5 * cdist(points, centres, "sqeuclidean") / width**2))
