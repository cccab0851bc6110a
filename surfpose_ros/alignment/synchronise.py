"""All pairs at once: poses of N surfaces in one frame from the similarities between pairs of them.

Rotations come from the three main eigenvectors of the block matrix of pairwise rotations (Arie-Nachimson
et al., 3DIMPVT 2012), weighted again and again by how well each pair agrees; scales and translations
then are linear least squares with the same weights.
"""

import torch
from torch import Tensor

from surfpose_ros.geometry.rotations import nearest_rotation, rotation_angle
from surfpose_ros.geometry.similarity import compose_similarity, decompose_similarity

AGREEMENT_DEG = 15.0  # residual at which a pair's weight has fallen to a quarter


def synchronise(
    source: Tensor,
    target: Tensor,
    target_from_source: Tensor,
    weights: Tensor,
    count: int,
    rounds: int = 20,
) -> Tensor:
    """Common poses of which the pairwise similarities are, as far as can be, the differences.

    Args:
        source: ``(P,)`` indices below `count`.
        target: ``(P,)``.
        target_from_source: ``(P, 4, 4)``.
        weights: ``(P,)``, not negative; zero drops a pair.
        count: N.
        rounds: of re-weighting.

    Returns:
        ``common_from_each`` ``(N, 4, 4)`` float64, geometric mean of the scales one, mean translation zero.
    """
    rotation, translation, scale = decompose_similarity(target_from_source.double())
    first = weights.double()
    current = first
    for _ in range(rounds):
        common = _rotations(source, target, rotation, current, count)
        # common_from_target @ target_from_source should be common_from_source.
        residual = rotation_angle(common[target] @ rotation, common[source])
        current = first / (1 + (residual / (AGREEMENT_DEG * torch.pi / 180)).square()).square()
    scales = _differences(source, target, scale.log()[:, None], current, count).exp()[:, 0]
    moved = scales[target][:, None] * (common[target] @ translation[..., None])[..., 0]
    return compose_similarity(common, _differences(source, target, moved, current, count), scales)


def _rotations(source: Tensor, target: Tensor, rotation: Tensor, weights: Tensor, count: int) -> Tensor:
    blocks = torch.zeros(count, count, 3, 3, dtype=rotation.dtype, device=rotation.device)
    weighted = weights[:, None, None] * rotation
    blocks[target, source] = weighted
    blocks[source, target] = weighted.transpose(-1, -2)
    degree = torch.zeros(count, dtype=rotation.dtype, device=rotation.device)
    degree = degree.index_add(0, source, weights).index_add(0, target, weights).clamp_min(1e-9)
    blocks = blocks / (degree[:, None] * degree[None, :]).sqrt()[..., None, None]
    matrix = blocks.transpose(1, 2).reshape(3 * count, 3 * count)
    vectors = torch.linalg.eigh(matrix).eigenvectors[:, -3:].unflatten(0, (count, 3))
    # The eigenvectors hold each_from_common up to one reflection of all.
    each_from_common = vectors * torch.where(torch.linalg.det(vectors).sum() < 0, -1.0, 1.0)
    return nearest_rotation(each_from_common).transpose(-1, -2)


def _differences(source: Tensor, target: Tensor, difference: Tensor, weights: Tensor, count: int) -> Tensor:
    """Values ``(N, C)`` of mean zero whose differences, source less target, are near ``(P, C)``."""
    # The normal equations: a graph's Laplacian, and ones that make the mean zero.
    normal = difference.new_full((count, count), 1 / count)
    for one, other in ((source, target), (target, source)):
        normal.index_put_((one, one), weights, accumulate=True)
        normal.index_put_((one, other), -weights, accumulate=True)
    weighted = weights[:, None] * difference
    right = difference.new_zeros(count, difference.shape[1])
    right = right.index_add(0, source, weighted).index_add(0, target, -weighted)
    return torch.linalg.lstsq(normal, right).solution
