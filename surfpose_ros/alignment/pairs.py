"""One-to-one alignment: the best transforms of every pair of surfaces, batched over pairs."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surfpose_ros.alignment.distances import Matches, match_pairs
from surfpose_ros.alignment.hypotheses import sample_hypotheses
from surfpose_ros.alignment.objective import pair_objective
from surfpose_ros.alignment.refine import descend
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.alignment.upright import set_upright
from surfpose_ros.geometry.rotations import rotation_angle
from surfpose_ros.geometry.similarity import decompose_similarity

SCORING_STRIDE = 3
DISTINCT_DEG = 25.0  # two hypotheses nearer than this are one


@dataclass(frozen=True)
class PairAlignments:
    """The best distinct transforms of P pairs, best first.

    Attributes:
        matches: appearance neighbours and weights.
        target_from_source: ``(P, K, 4, 4)`` between normalised frames.
        distance: ``(P, K)`` D in diameters; infinite where a pair has fewer than K.
    """

    matches: Matches
    target_from_source: Tensor
    distance: Tensor

    def renumbered(self, kept: Tensor, number: Tensor) -> "PairAlignments":
        """The pairs ``kept`` ``(P,)`` bool, surface i called ``number[i]`` from now on."""
        matches = self.matches[kept]
        matches = replace(matches, source=number[matches.source], target=number[matches.target])
        return PairAlignments(matches, self.target_from_source[kept], self.distance[kept])


def all_pairs(count: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Source and target indices of all ``count (count - 1) / 2`` pairs."""
    source, target = torch.triu_indices(count, count, offset=1, device=device)
    return source, target


def align_pairs(
    shapes: Shapes, source: Tensor, target: Tensor, settings: AlignmentSettings
) -> PairAlignments:
    """Sample, score by D, keep the best distinct, refine them (paper, section 3.2).

    Args:
        shapes: N surfaces.
        source: ``(P,)`` indices.
        target: ``(P,)``.
        settings: of the alignment.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    matches = match_pairs(shapes, source, target, settings.tau)
    transforms, usable = sample_hypotheses(
        shapes, matches, settings.samples, settings.scale_range, generator
    )

    if settings.mode == "up":
        transforms = torch.cat([transforms, set_upright(shapes, matches, transforms)], dim=1)
        usable = usable.repeat(1, 2)

    # Which samples are worth a closer look, every few vertices tell.
    glance = replace(matches, stride=SCORING_STRIDE)
    distance = pair_objective(shapes, glance, transforms, settings).masked_fill(~usable, torch.inf)
    transforms, distance = best_distinct(transforms, distance, 2 * settings.hypotheses)

    def objective(poses: Tensor) -> Tensor:
        return pair_objective(shapes, matches, poses, settings)

    distance = torch.where(distance.isinf(), distance, objective(transforms))
    transforms, distance = best_distinct(transforms, distance, settings.hypotheses)
    transforms = descend(transforms, objective, settings.refine_steps)
    distance = torch.where(distance.isinf(), distance, objective(transforms))
    transforms, distance = best_distinct(transforms, distance, settings.hypotheses)
    return PairAlignments(matches, transforms, distance)


def best_distinct(transforms: Tensor, distance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best transforms of each pair that are turned by more than `DISTINCT_DEG` to each other.

    Args:
        transforms: ``(P, H, 4, 4)``.
        distance: ``(P, H)``.
        count: to keep.

    Returns:
        ``(P, count, 4, 4)`` and ``(P, count)``; the distance is infinite past the last distinct one.
    """
    rotation = decompose_similarity(transforms)[0]
    left = distance.clone()
    kept, values = [], []
    for _ in range(count):
        value, best = left.min(dim=1)
        kept.append(transforms.gather(1, best[:, None, None, None].expand(-1, 1, 4, 4)))
        values.append(value)
        chosen = rotation.gather(1, best[:, None, None, None].expand(-1, 1, 3, 3))
        near = rotation_angle(rotation, chosen) < DISTINCT_DEG * torch.pi / 180
        left = left.masked_fill(near, torch.inf)
    return torch.cat(kept, dim=1), torch.stack(values, dim=1)
