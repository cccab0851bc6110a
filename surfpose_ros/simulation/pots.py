"""Parametric cooking pots, 16 to 28 cm wide: two equal handles, so that a half turn changes nothing."""

import numpy as np

from surfpose_ros.simulation.patterns import flat, random_colour, rings
from surfpose_ros.simulation.shapes import evenly, revolved, rounded, tube
from surfpose_ros.simulation.textured_mesh import TexturedMesh, join_meshes


def make_pot(rng: np.random.Generator) -> TexturedMesh:
    """A pot drawn from `rng`: metres, z up, handles to +x and -x, bounding box centred."""
    radius = rng.uniform(0.08, 0.14)
    height = radius * rng.uniform(0.7, 1.4)
    foot = radius * rng.uniform(0.8, 1.0)
    wall = 0.004
    steel = np.full(3, rng.uniform(120, 220)) if rng.random() < 0.4 else random_colour(rng, (0.2, 0.95))
    gloss = rng.uniform(0.1, 0.7)
    outer = np.array([[0, 0], [foot, 0], [radius, height], [radius + 0.004, height + 0.001]])
    outside = revolved(rounded(outer, per_corner=8, share=0.2), rings(rng, base=steel), gloss=gloss)
    inner = np.array(
        [
            [radius + 0.004, height + 0.001],
            [radius - wall, height],
            [foot - wall, 2 * wall],
            [0, 2 * wall],
        ]
    )
    inside = revolved(rounded(inner, share=0.15), flat(np.full(3, rng.uniform(60, 230))), gloss=gloss)
    paint = flat(random_colour(rng, (0.05, 0.6)) if rng.random() < 0.5 else steel)
    handle = _handle(rng, radius, foot, height, paint, gloss)
    half_turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    return join_meshes([outside, inside, handle, handle.transformed(half_turn)]).centred()


def _handle(
    rng: np.random.Generator, radius: float, foot: float, height: float, paint: np.ndarray, gloss: float
) -> TexturedMesh:
    """A bow that lies flat: swept in the plane of x and y, then laid against the wall."""
    level = rng.uniform(0.65, 0.9)
    span, reach = radius * rng.uniform(0.3, 0.5), radius * rng.uniform(0.2, 0.4)
    at = foot + (radius - foot) * level
    angle = np.linspace(-np.pi / 2, np.pi / 2, 32)
    squareness = rng.uniform(2.0, 4.0)
    x = np.abs(np.cos(angle)) ** (2 / squareness) * reach
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / squareness) * span
    hidden = at - np.sqrt(max(at**2 - span**2, 0.0))  # how far the round wall falls back at the bow's ends
    path = evenly(np.stack([x + at - hidden - 0.002, y], axis=1)[::-1], 32)
    thick = np.full(len(path), rng.uniform(0.004, 0.007))
    bow = tube(path, thick, thick, paint, gloss)
    lay_down = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, level * height], [0, 0, 0, 1.0]])
    return bow.transformed(lay_down)
