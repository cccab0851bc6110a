import torch

from surfpose_ros.alignment.pairs import all_pairs
from surfpose_ros.alignment.synchronise import synchronise
from surfpose_ros.geometry.rotations import rotation_angle
from surfpose_ros.geometry.similarity import decompose_similarity, invert_similarity, random_similarity


def problem(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    common_from_each = torch.stack([random_similarity(generator, 0.3, 1.0) for _ in range(count)])
    source, target = all_pairs(count)
    pairs = invert_similarity(common_from_each[target]) @ common_from_each[source]
    return source, target, pairs, generator


def pairwise(poses, source, target):
    return invert_similarity(poses[target]) @ poses[source]


def test_exact_pairs_give_back_exact_poses():
    source, target, pairs, _ = problem(7)
    poses = synchronise(source, target, pairs, torch.ones(len(source)), 7)
    assert torch.allclose(pairwise(poses, source, target), pairs, atol=1e-8)


def test_a_fifth_of_wrong_pairs_is_voted_out():
    source, target, pairs, generator = problem(9)
    wrong = torch.randperm(len(source), generator=generator)[: len(source) // 5]
    spoiled = pairs.clone()
    spoiled[wrong] = torch.stack([random_similarity(generator, 0.3, 1.0) for _ in wrong])
    poses = synchronise(source, target, spoiled, torch.ones(len(source)), 9)
    solved, true = (decompose_similarity(each) for each in (pairwise(poses, source, target), pairs))
    assert rotation_angle(solved[0], true[0]).rad2deg().max() < 3
    assert (solved[2] / true[2]).log().abs().max() < 0.1


def test_pairs_of_weight_zero_do_not_count():
    source, target, pairs, generator = problem(5)
    spoiled, weights = pairs.clone(), torch.ones(len(source))
    spoiled[2], weights[2] = random_similarity(generator, 0.3, 1.0), 0.0
    poses = synchronise(source, target, spoiled, weights, 5)
    assert torch.allclose(pairwise(poses, source, target), pairs, atol=1e-8)
