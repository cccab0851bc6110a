"""Objects of a made-up category: bumpy bodies with smooth features, each in a frame of its own."""

import numpy as np
import torch
import trimesh

from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.surface.surface import Surface

BUMPS = np.array([[0.9, 0.2, 0.4], [-0.5, 0.1, 0.8], [0.3, -0.9, 0.1], [-0.7, -0.3, -0.5]])
HEIGHTS = np.array([0.45, -0.2, 0.25, 0.3])


def body(seed: int, category: int = 0, subdivisions: int = 2, variation: float = 0.08) -> Mesh:
    """A long, bumpy body; `category` turns the bumps, `seed` varies the proportions and bumps."""
    rng = np.random.default_rng(seed)
    sphere = trimesh.creation.icosphere(subdivisions)
    directions = np.array(sphere.vertices)
    bumps = np.roll(BUMPS, category, axis=1) * (1 if category == 0 else -1)
    bumps = bumps / np.linalg.norm(bumps, axis=1, keepdims=True)
    heights = HEIGHTS * (1 + variation * rng.normal(size=len(HEIGHTS)))
    radius = 1 + (heights * np.exp(-4 * (1 - directions @ bumps.T))).sum(axis=1)
    sizes = np.array([1.0, 0.55, 0.4]) * (1 + variation * rng.normal(size=3))
    return Mesh((radius[:, None] * directions * sizes).astype(np.float32), np.array(sphere.faces))


def features_at(points: np.ndarray, seed: int, category: int = 0, noise: float = 0.1, views: int = 3):
    """Smooth unit features ``(V, K, 32)`` of canonical points, with noise of each view."""
    waves = np.random.default_rng(1000 + category)
    frequency, phase = waves.normal(size=(3, 32)) * 1.5, waves.uniform(0, 6, 32)
    mean = np.sin(points @ frequency + phase)
    each = mean[:, None] + noise * np.random.default_rng(seed).normal(size=(len(points), views, 32))
    return (each / np.linalg.norm(each, axis=-1, keepdims=True)).astype(np.float16)


def make_surface(
    seed: int, name: str | None = None, with_up: bool = True, **options
) -> tuple[Surface, np.ndarray]:
    """A surface in a random frame, and the true ``video_from_canonical`` similarity."""
    category = options.pop("category", 0)
    noise = options.pop("noise", 0.1)
    scale = options.pop("scale", None)
    mesh = body(seed, category, **options)
    features = features_at(mesh.vertices / [1, 0.55, 0.4], seed, category, noise)
    video_from_canonical = random_similarity(torch.Generator().manual_seed(seed), 1.0, 3.0).numpy()
    if scale is not None:
        video_from_canonical[:3, :4] *= scale
    up = video_from_canonical[:3, 2] / np.linalg.norm(video_from_canonical[:3, 2])
    surface = Surface(
        name=name or f"object{seed:02d}",
        category="body" if category == 0 else f"other{category}",
        backbone="made_up",
        mesh=mesh.transformed(video_from_canonical),
        features=features,
        feature_valid=np.ones(features.shape[:2], bool),
        views=[],
        up=up if with_up else None,
        up_sigma_deg=1.0 if with_up else None,
    )
    return surface, video_from_canonical


def make_surfaces(count: int, **options) -> tuple[list[Surface], list[np.ndarray]]:
    """`count` surfaces of one category and their true frames."""
    made = [make_surface(seed, **options) for seed in range(count)]
    return [surface for surface, _ in made], [frame for _, frame in made]
