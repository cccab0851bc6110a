from dataclasses import replace

import pytest
import torch

from surfpose_ros.alignment.distances import match_pairs
from surfpose_ros.alignment.hypotheses import sample_hypotheses
from surfpose_ros.alignment.pairs import best_distinct
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import prepare_shapes
from surfpose_ros.alignment.upright import set_upright, tilt_cost
from surfpose_ros.geometry.rotations import random_rotations, rotation_angle
from surfpose_ros.geometry.similarity import compose_similarity, decompose_similarity


@pytest.fixture(scope="module")
def shapes(six_bodies):
    return prepare_shapes(six_bodies[0][:2], AlignmentSettings(field_size=16))


@pytest.fixture(scope="module")
def matches(shapes):
    return match_pairs(shapes, torch.tensor([0]), torch.tensor([1]), tau=0.9)


@pytest.fixture(scope="module")
def poses():
    generator = torch.Generator().manual_seed(0)
    return compose_similarity(random_rotations(50, generator).float(), torch.zeros(50, 3), 1.2)[None]


def test_upright_hypotheses_take_up_onto_up_and_cost_nothing(shapes, matches, poses):
    upright = set_upright(shapes, matches, poses)
    moved = decompose_similarity(upright)[0] @ shapes.up[0]
    assert torch.allclose(moved, shapes.up[1].expand_as(moved), atol=1e-4)
    assert tilt_cost(shapes, matches, upright).max() < 1e-6
    assert tilt_cost(shapes, matches, poses).median() > 1e-3
    assert torch.allclose(decompose_similarity(upright)[2], torch.tensor(1.2), atol=1e-4)


def test_where_up_is_not_known_nothing_changes_and_nothing_costs(shapes, matches, poses):
    unknown = replace(shapes, up=torch.zeros_like(shapes.up))
    assert torch.equal(set_upright(unknown, matches, poses), poses)
    assert tilt_cost(unknown, matches, poses).abs().max() == 0


def test_samples_of_exact_matches_give_the_exact_transform(six_bodies):
    surface = six_bodies[0][0]
    shapes = prepare_shapes([surface, surface], AlignmentSettings(field_size=8))
    matches = match_pairs(shapes, torch.tensor([0]), torch.tensor([1]), tau=0.9)
    generator = torch.Generator().manual_seed(0)
    transforms, usable = sample_hypotheses(shapes, matches, 40, (0.5, 2.0), generator)
    assert usable.float().mean() > 0.8
    assert torch.allclose(transforms[usable], torch.eye(4).expand_as(transforms[usable]), atol=1e-3)


def test_the_best_distinct_hypotheses_are_in_order_and_turned_to_each_other(poses):
    distance = torch.rand(1, 50, generator=torch.Generator().manual_seed(1))
    kept, values = best_distinct(poses, distance, 3)
    assert values[0, 0] == distance.min()
    assert (values.diff(dim=1) >= 0).all()
    rotation = decompose_similarity(kept)[0][0]
    angles = rotation_angle(rotation[:, None], rotation[None]).rad2deg()
    assert angles[~torch.eye(3, dtype=torch.bool)].min() > 25
