"""Parametric mugs: 8 to 12 cm tall, of every common shape and paint; the handle points forward (+x)."""

import numpy as np

from surfpose_ros.simulation.patterns import flat, random_colour, random_pattern
from surfpose_ros.simulation.shapes import evenly, revolved, rounded, tube
from surfpose_ros.simulation.textured_mesh import TexturedMesh, join_meshes

HANDLE_TEXTURE = 2  # its place among the mesh's textures


def make_mug(rng: np.random.Generator) -> TexturedMesh:
    """A mug drawn from `rng`: metres, z up, handle to +x, bounding box centred."""
    height = rng.uniform(0.08, 0.12)
    top = rng.uniform(0.036, 0.046)
    foot = top * rng.uniform(0.72, 1.05)
    bulge = top * rng.uniform(-0.06, 0.14) if rng.random() < 0.7 else 0.0
    wall = rng.uniform(0.0025, 0.0045)
    body_colour = random_colour(rng, (0.25, 1.0))
    two_tone = random_colour(rng, (0.25, 1.0))
    gloss = rng.uniform(0.05, 0.6)

    level = np.linspace(0.06, 1, 24)
    radius = foot + (top - foot) * level + bulge * np.sin(np.pi * level)
    outer = np.stack([radius, level * height], axis=1)
    base = rounded(np.array([[0, 0.0], [radius[0] - 0.006, 0.0], outer[0]]), share=0.4)
    outside = np.concatenate([base, outer])
    lip = np.array([[top - 0.3 * wall, height + 0.35 * wall], [top - 0.7 * wall, height + 0.35 * wall]])
    inner_outer = outer[::-1] - [wall, 0]
    floor = np.array([[inner_outer[-1, 0] - 0.006, 2 * wall], [0, 2 * wall]])
    inside = np.concatenate([outer[-1:], lip, inner_outer[inner_outer[:, 1] > 0.012], floor])

    body = revolved(outside, random_pattern(rng, base=body_colour), gloss=gloss)
    inner_colour = two_tone if rng.random() < 0.4 else np.array([235, 232, 225]) * rng.uniform(0.8, 1)
    if rng.random() < 0.3:
        inner_colour = body_colour
    inner = revolved(inside, flat(inner_colour), gloss=gloss)
    handle_colour = two_tone if rng.random() < 0.25 else body_colour
    handle = _handle(rng, outer, height, wall, flat(handle_colour), gloss)
    return join_meshes([body, inner, handle]).centred()


def _handle(
    rng: np.random.Generator, outer: np.ndarray, height: float, wall: float, paint: np.ndarray, gloss: float
) -> TexturedMesh:
    """A bow from the lower to the upper part of the wall: round (C), square or ear-shaped."""
    low, high = height * rng.uniform(0.12, 0.3), height * rng.uniform(0.72, 0.92)
    reach = rng.uniform(0.022, 0.036)
    squareness = rng.uniform(2.0, 4.5)  # exponent of a superellipse: 2 is round
    lean = rng.uniform(-0.15, 0.35)  # ear shape: more reach above than below
    angle = np.linspace(-np.pi / 2, np.pi / 2, 40)
    out = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / squareness)
    up = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / squareness)
    z = (low + high) / 2 + up * (high - low) / 2
    wall_radius = np.interp(z, outer[:, 1], outer[:, 0])
    x = wall_radius - 0.6 * wall + out * reach * (1 + lean * up)
    path = np.stack([x, z], axis=1)[::-1]
    path = evenly(path, 48)
    ends = 1 + 0.35 * np.linspace(-1, 1, len(path)) ** 4  # broader where it joins the wall
    half_width = rng.uniform(0.0045, 0.008) * ends
    half_depth = rng.uniform(0.003, 0.005) * ends**0.5
    return tube(path, half_width, half_depth, paint, gloss)
