import numpy as np
import pytest
import torch
import trimesh

from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.symmetry import best_symmetry
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.symmetry import CONTINUOUS

from .synthetic import features_at, make_surface
from .test_many import FAST


def vase(seed, fold):
    """A surface of revolution, or one with `fold` ridges, whose features follow its shape."""
    surface, frame = make_surface(seed)
    rng = np.random.default_rng(seed)
    directions = np.array(trimesh.creation.icosphere(2).vertices)
    angle = np.arctan2(directions[:, 1], directions[:, 0])
    height = directions[:, 2]
    ridge = 0.3 * np.cos(fold * angle) * (1 - height**2) if fold else 0.0
    radius = (1 + 0.3 * np.sin(2.5 * height + 0.4) + ridge) * (1 + 0.03 * rng.normal())
    vertices = directions * np.stack([0.5 * radius, 0.5 * radius, np.ones_like(height)], axis=1)
    turns = np.cos(fold * angle) * np.sqrt(1 - height**2) if fold else np.zeros_like(angle)
    features = features_at(np.stack([height, turns, 0 * height], axis=1), seed, noise=0.05)
    moved = vertices @ frame[:3, :3].T + frame[:3, 3]
    return type(surface)(
        name=f"vase{seed}",
        category="vase",
        backbone="made_up",
        mesh=Mesh(moved.astype(np.float32), surface.mesh.faces),
        features=features,
        feature_valid=np.ones(features.shape[:2], bool),
        views=[],
        up=surface.up,
        up_sigma_deg=1.0,
    )


@pytest.mark.parametrize(("fold", "order"), [(0, CONTINUOUS), (2, 2)])
def test_turns_that_change_nothing_are_found_about_the_vertical(fold, order):
    aligned = align_surfaces([vase(seed, fold) for seed in range(4)], FAST)
    assert aligned.symmetry.order == order
    assert abs(aligned.symmetry.axis[2]) > 0.99
    assert min(aligned.confidence.values()) > 0.6
    assert not aligned.set_aside


def test_bodies_without_symmetry_are_not_called_symmetric(six_bodies):
    assert not align_surfaces(six_bodies[0][:4], FAST).symmetry


def test_the_highest_order_is_taken_and_reversal_needs_an_axis_across():
    axes = torch.eye(3)
    none, all_ = torch.ones(36), torch.zeros(36)
    half = none.clone()
    half[18] = 0
    assert not best_symmetry(axes, torch.stack([none, none, none]), 0.1)
    quarter = none.clone()
    quarter[[9, 18, 27]] = 0
    found = best_symmetry(axes, torch.stack([none, half, quarter]), 0.1)
    assert (found.order, found.axis, found.reversible) == (4, (0, 0, 1), True)
    found = best_symmetry(axes, torch.stack([none, none, all_]), 0.1)
    assert (found.order, found.reversible) == (CONTINUOUS, False)
