"""Objects that can be simulated: parametric categories, each instance from a seed, and meshes from files.

An object's own frame is the canonical one: REP-103 axes, origin at the bounding box's centre, metres.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.simulation.bottles import make_bottle
from surfpose_ros.simulation.mugs import HANDLE_TEXTURE, make_mug
from surfpose_ros.simulation.pots import make_pot
from surfpose_ros.simulation.textured_mesh import TexturedMesh, load_glb

CATEGORIES: dict[str, Callable[[np.random.Generator], TexturedMesh]] = {
    "mug": make_mug,
    "bottle": make_bottle,
    "pot": make_pot,
}
# Turns that change nothing, in the words of `geometry.symmetry.parse_symmetry`.
SYMMETRIES = {"mug": "none", "bottle": "z:inf", "pot": "z:2"}
FRONTS = {"mug": HANDLE_TEXTURE}


@dataclass(frozen=True)
class SimulatedObject:
    """One object to be rendered.

    Attributes:
        name: unique in its category.
        category: what a person would call it.
        mesh: in the object's frame, metres.
        front: the texture of the part that alone tells the front, such as a mug's handle; None if the
            whole object tells it, or nothing does.
    """

    name: str
    category: str
    mesh: TexturedMesh
    front: int | None = None

    @property
    def size(self) -> np.ndarray:
        """Bounding box along x, y, z, ``(3,)`` metres."""
        low, high = self.mesh.bounds
        return high - low


def make_object(category: str, seed: int) -> SimulatedObject:
    """The instance number `seed` of a parametric category; the same one every time.

    Raises:
        SurfposeError: no such category.
    """
    if category not in CATEGORIES:
        raise SurfposeError(
            f"no parametric category {category!r}; there are {', '.join(sorted(CATEGORIES))}"
        )
    mesh = CATEGORIES[category](np.random.default_rng([seed, *category.encode()]))
    return SimulatedObject(f"{category}_{seed:03d}", category, mesh, FRONTS.get(category))


def load_object(path: Path, category: str, diagonal: float | None = None) -> SimulatedObject:
    """A mesh file as an object: z up, x front, recentred; scaled to `diagonal` metres if given."""
    item = SimulatedObject(path.stem, category, load_glb(path).centred())
    return item if diagonal is None else resized(item, diagonal / float(np.linalg.norm(item.size)))


def resized(item: SimulatedObject, factor: float) -> SimulatedObject:
    """The same object, larger by a factor."""
    return replace(item, mesh=item.mesh.transformed(np.diag([factor, factor, factor, 1.0])))
