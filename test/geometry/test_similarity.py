import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from skimage.transform import SimilarityTransform

from surfpose_ros.geometry.rotations import random_rotations
from surfpose_ros.geometry.similarity import (
    compose_similarity,
    decompose_similarity,
    invert_similarity,
    random_similarity,
    similarity_from_points,
    transform_points,
)

SEEDS = st.integers(0, 10_000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def points(seed, count=8, *batch):
    return torch.randn(*batch, count, 3, generator=generator(seed), dtype=torch.float64)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@given(seed=SEEDS)
def test_a_similarity_comes_apart_into_what_it_was_composed_of(seed):
    rotation = random_rotations(5, generator(seed))
    translation = torch.randn(5, 3, generator=generator(seed), dtype=torch.float64)
    scale = torch.rand(5, generator=generator(seed), dtype=torch.float64) + 0.01
    parts = decompose_similarity(compose_similarity(rotation, translation, scale))
    for part, expected in zip(parts, (rotation, translation, scale), strict=True):
        close(part, expected)


@given(seed=SEEDS)
def test_the_inverse_takes_points_back(seed):
    transform = random_similarity(generator(seed), max_log_scale=2.0, max_shift=5.0)
    cloud = points(seed)
    close(transform_points(invert_similarity(transform), transform_points(transform, cloud)), cloud)
    close(invert_similarity(transform) @ transform, torch.eye(4, dtype=torch.float64))


def test_compose_broadcasts_one_rotation_over_many_translations():
    transforms = compose_similarity(torch.eye(3), torch.zeros(2, 5, 3), 3.0)
    assert transforms.shape == (2, 5, 4, 4)
    assert (transforms[..., 0, 0] == 3).all()


@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_exact_pairs_give_back_their_similarity(seed, scale):
    expected = compose_similarity(random_rotations(1, generator(seed))[0], points(seed, 3)[0], scale)
    cloud = points(seed + 1)
    close(similarity_from_points(cloud, transform_points(expected, cloud)), expected, 1e-8)


@given(seed=SEEDS)
def test_noisy_pairs_agree_with_scikit_image(seed):
    source, target = points(seed), points(seed) + 0.3 * points(seed + 1)
    reference = SimilarityTransform.from_estimate(source.numpy(), target.numpy())
    np.testing.assert_allclose(similarity_from_points(source, target), reference.params, atol=1e-9)


@given(seed=SEEDS)
def test_weighted_rotations_agree_with_scipy(seed):
    source, target = points(seed), points(seed) + 0.3 * points(seed + 1)
    weights = torch.rand(8, generator=generator(seed), dtype=torch.float64) + 0.01
    centre = lambda cloud: cloud - (weights[:, None] * cloud).sum(0) / weights.sum()  # noqa: E731
    expected, _ = Rotation.align_vectors(centre(target), centre(source), weights.numpy())
    fitted = similarity_from_points(source, target, weights, with_scale=False)
    np.testing.assert_allclose(fitted[:3, :3], expected.as_matrix(), atol=1e-7)


@given(seed=SEEDS)
def test_a_pair_of_weight_zero_does_not_count(seed):
    source, target = points(seed), points(seed) + 0.1 * points(seed + 1)
    weights = torch.ones(8, dtype=torch.float64)
    weights[0] = 0
    target[0] += 1000
    close(similarity_from_points(source, target, weights), similarity_from_points(source[1:], target[1:]))


def test_many_problems_at_once_are_each_solved_alone():
    source, target = points(1, 6, 4, 5), points(2, 6, 4, 5)
    together = similarity_from_points(source, target)
    assert together.shape == (4, 5, 4, 4)
    close(together[3, 2], similarity_from_points(source[3, 2], target[3, 2]))


@given(seed=SEEDS)
def test_mirrored_points_give_a_rotation_not_a_reflection(seed):
    source = points(seed)
    fitted = similarity_from_points(source, source * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    assert torch.linalg.det(fitted[:3, :3]) >= 0


def test_coinciding_points_give_finite_numbers():
    same_place = torch.ones(4, 3, dtype=torch.float64)
    assert similarity_from_points(same_place, same_place).isfinite().all()


@pytest.mark.parametrize(("source", "target"), [((2, 3), (2, 3)), ((4, 3), (5, 3)), ((4, 2), (4, 2))])
def test_too_few_or_unequal_points_are_refused(source, target):
    with pytest.raises(ValueError, match="at least 3 points"):
        similarity_from_points(torch.zeros(source), torch.zeros(target))


def test_random_similarities_stay_within_their_bounds_and_repeat_with_their_seed():
    for seed in range(50):
        transform = random_similarity(generator(seed), max_log_scale=0.5, max_shift=2.0)
        _, translation, scale = decompose_similarity(transform)
        assert abs(math.log(scale)) <= 0.5 + 1e-9
        assert translation.abs().max() <= 2.0
        assert torch.equal(transform, random_similarity(generator(seed), 0.5, 2.0))
