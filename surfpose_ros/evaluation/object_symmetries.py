"""Symmetries of a category or of single objects of it, as a person types them, and those of pairs.

Where two objects are laid over each other, a turn that changes nothing of either cannot be told: a round
table lies on an oblong one in any direction.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.metrics import Array, rotation_error
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry, parse_symmetry


def parse_symmetries(texts: Sequence[str]) -> dict[str, Symmetry]:
    """``bottle=z:inf`` and ``table/desk_3=none`` to a symmetry by category and by category/object.

    Raises:
        SurfposeError: anything else.
    """
    pairs = [text.partition("=") for text in texts]
    return {name: parse_symmetry(symmetry) for name, _, symmetry in pairs}


def symmetries_of(category: str, names: Sequence[str], symmetries: dict[str, Symmetry]) -> list[Symmetry]:
    """Each object's own symmetry, else its category's, else none."""
    general = symmetries.get(category, Symmetry())
    return [symmetries.get(f"{category}/{name}", general) for name in names]


def together(first: Symmetry, second: Symmetry) -> Symmetry:
    """The turns that are left open between two objects.

    Raises:
        SurfposeError: symmetries about different axes, of which there is no end.
    """
    if not first or not second:
        return first or second
    if not np.allclose(first.axis, second.axis):
        raise SurfposeError(f"symmetries about different axes within one category: {first}; {second}")
    endless = CONTINUOUS in (first.order, second.order)
    order = CONTINUOUS if endless else math.lcm(first.order, second.order)
    return replace(first, order=order, reversible=first.reversible or second.reversible)


def pair_errors(target: Array, source: Array, pairs: Sequence[tuple[Symmetry, Symmetry]]) -> Array:
    """Angle in degrees between rotations ``(P, 3, 3)``, up to what each pair leaves open, ``(P,)``."""
    open_turns = [together(*pair) for pair in pairs]
    errors = np.empty(len(pairs))
    for symmetry in set(open_turns):
        chosen = np.array([turns == symmetry for turns in open_turns])
        errors[chosen] = rotation_error(target[chosen], source[chosen], symmetry)
    return errors
