"""Transforms to try: similarities of random samples of four vertices and their appearance neighbours."""

import torch
from torch import Tensor

from surfpose_ros.alignment.distances import Matches, take
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.geometry.similarity import decompose_similarity, invert_similarity, similarity_from_points

SAMPLE_SIZE = 4
MOST_AT_ONCE = 1 << 17  # samples
MIN_SPREAD = 0.05  # second singular value of a sample's points, in diameters: below, it is nearly a line


def sample_hypotheses(
    shapes: Shapes,
    matches: Matches,
    count: int,
    scale_range: tuple[float, float],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Similarities of random samples of four matches, half of them drawn in either direction.

    Args:
        shapes: the surfaces.
        matches: of P pairs; vertices are drawn with their weights as probability.
        count: samples a pair.
        scale_range: admitted scales.
        generator: on the CPU, so that every device draws the same samples.

    Returns:
        ``target_from_source`` ``(P, count, 4, 4)`` between normalised frames, and ``(P, count)`` bool:
        False for samples that are nearly a line, or whose scale lies outside the range.
    """
    half = (count + 1) // 2
    there, there_good = _one_way(
        shapes, matches.source, matches.target, matches.forward, matches.source_weights, half, generator
    )
    back, back_good = _one_way(
        shapes,
        matches.target,
        matches.source,
        matches.backward,
        matches.target_weights,
        count - half,
        generator,
    )
    transforms = torch.cat([there, invert_similarity(back)], dim=1)
    scale = decompose_similarity(transforms)[2]
    usable = (scale >= scale_range[0]) & (scale <= scale_range[1])
    return transforms, usable & torch.cat([there_good, back_good], dim=1)


def _one_way(
    shapes: Shapes,
    source: Tensor,
    target: Tensor,
    neighbour: Tensor,
    weights: Tensor,
    count: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    drawn = torch.multinomial(
        weights.cpu() + 1e-12, count * SAMPLE_SIZE, replacement=True, generator=generator
    )
    drawn = drawn.to(weights.device)
    source_points = take(shapes.vertices[source], drawn).unflatten(1, (count, SAMPLE_SIZE))
    target_points = take(shapes.vertices[target], neighbour.gather(1, drawn)).unflatten(
        1, (count, SAMPLE_SIZE)
    )
    good = (_spread(source_points) > MIN_SPREAD) & (_spread(target_points) > MIN_SPREAD)
    # A sample that is one point gives no scale; any points do in its place, as it is not used.
    filler = torch.eye(SAMPLE_SIZE, 3, device=source_points.device)
    source_points = torch.where(good[..., None, None], source_points, filler)
    target_points = torch.where(good[..., None, None], target_points, filler)
    # A GPU's singular values of millions of matrices at once would not fit its memory.
    some = max(1, MOST_AT_ONCE // count)
    parts = zip(source_points.split(some), target_points.split(some), strict=True)
    return torch.cat([similarity_from_points(*part) for part in parts]), good


def _spread(points: Tensor) -> Tensor:
    """Second largest singular value ``(...)`` of centred points ``(..., N, 3)``.

    From the Gram matrix's eigenvalues in closed form (Smith, CACM 1961): for a million small matrices, a
    GPU's solver would ask for a hundred gigabytes.
    """
    centred = points - points.mean(dim=-2, keepdim=True)
    gram = (centred.transpose(-1, -2) @ centred).double()
    mean = gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    off = gram - mean[..., None, None] * torch.eye(3, dtype=gram.dtype, device=gram.device)
    radius = (off.square().sum(dim=(-1, -2)) / 6).sqrt().clamp_min(1e-30)
    angle = (torch.linalg.det(off) / (2 * radius**3)).clamp(-1, 1).acos() / 3
    # The angles of the three are this and this plus and minus 120 degrees; its cosine makes the largest.
    middle = mean + 2 * radius * (angle - 2 * torch.pi / 3).cos()
    return middle.clamp_min(0).sqrt().to(points.dtype)
