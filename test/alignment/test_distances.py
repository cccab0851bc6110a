import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from surfpose_ros.alignment.distances import (
    Measure,
    match_pairs,
    mean_feature_distance,
    mixed_distance,
    pair_distances,
    set_feature_distance,
)
from surfpose_ros.alignment.fields import field_distance, field_values
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import prepare_shapes
from surfpose_ros.geometry.similarity import (
    compose_similarity,
    invert_similarity,
    random_similarity,
)


def unit(*shape, seed=0):
    features = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return features / features.norm(dim=-1, keepdim=True)


@pytest.fixture(scope="module")
def shapes(six_bodies):
    return prepare_shapes(six_bodies[0][:3], AlignmentSettings())


@pytest.fixture(scope="module")
def matches(shapes):
    return match_pairs(shapes, torch.tensor([0, 0]), torch.tensor([1, 2]), tau=0.9)


def test_the_set_distance_is_the_mean_over_views_of_the_minimum_symmetrised():
    source, target = unit(5, 3, 8), unit(4, 6, 8, seed=1)
    valid = torch.ones(5, 3, dtype=torch.bool), torch.ones(4, 6, dtype=torch.bool)
    valid[0][2, 1:] = False
    distance = set_feature_distance(source, valid[0], target, valid[1], budget=40)
    for i in range(5):
        for j in range(4):
            each = torch.cdist(source[i][valid[0][i]], target[j][valid[1][j]])
            expected = (each.amin(dim=0).mean() + each.amin(dim=1).mean()) / 2
            assert distance[i, j].item() == pytest.approx(expected.item(), abs=1e-3)


def test_a_vertex_without_views_is_infinitely_far():
    valid = torch.ones(3, 2, dtype=torch.bool)
    valid[1] = False
    distance = set_feature_distance(unit(3, 2, 8), valid, unit(3, 2, 8), torch.ones(3, 2, dtype=torch.bool))
    assert distance[1].isinf().all()
    assert distance[[0, 2]].isfinite().all()


def test_with_one_view_a_vertex_set_and_mean_agree():
    source, target = unit(6, 1, 8), unit(7, 1, 8, seed=1)
    one = torch.ones(7, 1, dtype=torch.bool)
    both = set_feature_distance(source, one[:6], target, one)
    assert torch.allclose(both, mean_feature_distance(source[:, 0], target[:, 0]), atol=1e-3)


def test_the_distance_field_agrees_with_the_nearest_point_of_the_mesh(shapes, six_bodies):
    mesh = six_bodies[0][0].mesh.transformed(shapes.normalised_from_video[0].numpy())
    dense, _ = trimesh.sample.sample_surface(mesh.trimesh(), 100_000, seed=1)
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    exact = cKDTree(dense).query(points.numpy())[0]
    assert (
        np.abs(field_distance(shapes.fields, torch.tensor([0]), points[None])[0].numpy() - exact).max()
        < 0.02
    )


def test_outside_its_cube_the_field_keeps_growing(shapes):
    points = torch.tensor([[[1.0, 0, 0], [2.0, 0, 0], [4.0, 0, 0]]])
    values = field_distance(shapes.fields, torch.tensor([0]), points)[0]
    assert torch.allclose(values.diff(), torch.tensor([1.0, 2.0]), atol=1e-3)


def test_the_normal_field_tells_the_nearest_faces_normal(shapes, six_bodies):
    solid = six_bodies[0][0].mesh.transformed(shapes.normalised_from_video[0].numpy()).trimesh()
    points, faces = trimesh.sample.sample_surface(solid, 500, seed=1)
    values = field_values(shapes.fields, torch.tensor([0]), torch.from_numpy(points)[None].float())[0]
    cosine = (values[:, 1:].numpy() * solid.face_normals[faces]).sum(axis=1)
    assert np.median(cosine) > 0.97
    assert cosine.min() > 0.5


def test_a_turn_in_place_costs_more_where_normals_count(shapes):
    """A ball would turn for free in its own field; the normals of a body do not, least at the ends."""
    matches = match_pairs(shapes, torch.tensor([0]), torch.tensor([0]), tau=0.9)
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    poses = compose_similarity(half_turn, torch.zeros(3))[None, None]
    plain = pair_distances(shapes, matches, poses, Measure())
    oriented = pair_distances(shapes, matches, poses, Measure(normals=0.1))
    assert all((more > less).all() for more, less in zip(oriented, plain, strict=True))


def test_weights_of_each_side_sum_to_one(matches):
    assert torch.allclose(matches.source_weights.sum(dim=1), torch.ones(2))
    assert torch.allclose(matches.target_weights.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("measure", [Measure(), Measure(0.5, 0.05, 0.1)])
def test_d_is_the_same_from_either_side(shapes, measure):
    there = match_pairs(shapes, torch.tensor([0]), torch.tensor([1]), tau=0.9)
    back = match_pairs(shapes, torch.tensor([1]), torch.tensor([0]), tau=0.9)
    generator = torch.Generator().manual_seed(0)
    poses = torch.stack([random_similarity(generator, 0.2, 0.1).float() for _ in range(4)])[None]
    first = mixed_distance(shapes, there, poses, measure)
    second = mixed_distance(shapes, back, invert_similarity(poses), measure)
    assert torch.allclose(first, second, atol=1e-5)


def test_chunks_do_not_change_d(shapes, matches):
    poses = torch.eye(4).repeat(2, 3, 1, 1)
    whole = mixed_distance(shapes, matches, poses, Measure())
    assert torch.equal(mixed_distance(shapes, matches, poses, Measure(), budget=1), whole)


@pytest.mark.parametrize("measure", [Measure(), Measure(0.5, 0.05, 0.1)])
def test_a_surface_is_nowhere_nearer_to_itself_than_in_place(shapes, measure):
    matches = match_pairs(shapes, torch.tensor([0]), torch.tensor([0]), tau=0.9)
    generator = torch.Generator().manual_seed(0)
    moved = torch.stack([random_similarity(generator, 0.3, 0.2).float() for _ in range(20)])
    poses = torch.cat([torch.eye(4)[None], moved])[None]
    geometric, appearance = pair_distances(shapes, matches, poses, measure)
    assert geometric[0].argmin() == 0
    assert appearance[0].argmin() == 0
    assert appearance[0, 0] < 1e-5
