"""Parametric bottles, 18 to 32 cm tall: the same from all sides, in shape and in paint."""

import numpy as np

from surfpose_ros.simulation.patterns import flat, random_colour, rings
from surfpose_ros.simulation.shapes import revolved, rounded
from surfpose_ros.simulation.textured_mesh import TexturedMesh, join_meshes


def make_bottle(rng: np.random.Generator) -> TexturedMesh:
    """A bottle with label and cap drawn from `rng`: metres, z up, bounding box centred."""
    height = rng.uniform(0.18, 0.32)
    radius = height * rng.uniform(0.11, 0.18)
    neck = radius * rng.uniform(0.28, 0.5)
    shoulder = height * rng.uniform(0.5, 0.75)
    neck_from = shoulder + (height - shoulder) * rng.uniform(0.25, 0.6)
    waist = radius * rng.uniform(0.85, 1.0)
    cap_height = height * rng.uniform(0.04, 0.08)
    glass = random_colour(rng, (0.15, 0.9))
    gloss = rng.uniform(0.2, 0.7)

    profile = np.array(
        [
            [0, 0],
            [radius, 0],
            [waist, 0.5 * shoulder],
            [radius, shoulder],
            [neck, neck_from],
            [neck, height - cap_height],
        ]
    )
    body = revolved(rounded(profile, per_corner=8, share=0.25), flat(glass), gloss=gloss)
    low, high = shoulder * rng.uniform(0.1, 0.25), shoulder * rng.uniform(0.65, 0.9)
    z = np.linspace(low, high, 16)
    wall = np.interp(z, [0, 0.5 * shoulder, shoulder], [radius, waist, radius]) + 0.0006
    label = revolved(np.stack([wall, z], axis=1), rings(rng), gloss=0.1)
    cap_radius = neck * rng.uniform(1.05, 1.25)
    cap_profile = np.array(
        [
            [neck, height - cap_height],
            [cap_radius, height - cap_height],
            [cap_radius, height],
            [0, height],
        ]
    )
    cap = revolved(rounded(cap_profile, share=0.15), flat(random_colour(rng)), gloss=0.3)
    return join_meshes([body, label, cap], gloss).centred()
