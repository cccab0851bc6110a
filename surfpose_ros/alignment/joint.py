"""The poses of all surfaces that make the sum of D over all pairs smallest.

Pairs propose, the sum decides: from several starts, each surface in turn takes the best of the poses
that its pairs' transforms propose, until none moves; then all descend on the sum together, saturated
more narrowly.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surfpose_ros.alignment.distances import Matches
from surfpose_ros.alignment.objective import pair_objective
from surfpose_ros.alignment.pairs import SCORING_STRIDE, PairAlignments
from surfpose_ros.alignment.refine import descend
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.alignment.synchronise import synchronise
from surfpose_ros.geometry.similarity import decompose_similarity, invert_similarity
from surfpose_ros.geometry.symmetry import Symmetry

MAX_SWEEPS = 10
SURE = 0.95  # share of pairs that agree with common poses, above which other starts lead to the same
AGREES_DEG = 30.0  # a pair whose own rotation is nearer to the common one agrees with it


@dataclass(frozen=True)
class JointProblem:
    """The pairs of N surfaces and how D mixes, to score common poses."""

    shapes: Shapes
    pairs: PairAlignments
    settings: AlignmentSettings

    def distances(self, common_from_each: Tensor, matches: Matches | None = None) -> Tensor:
        """D of every pair, ``(P,)``, under common poses ``(N, 4, 4)``."""
        matches = matches or self.pairs.matches
        transforms = invert_similarity(common_from_each[matches.target]) @ common_from_each[matches.source]
        return pair_objective(self.shapes, matches, transforms[:, None], self.settings)[:, 0]

    def without(self, indices: list[int]) -> "JointProblem":
        """The same problem without some surfaces, the others renumbered in order."""
        device = self.pairs.matches.source.device
        kept = torch.ones(len(self.shapes), dtype=torch.bool, device=device)
        kept[indices] = False
        matches = self.pairs.matches
        pairs = kept[matches.source] & kept[matches.target]
        return JointProblem(
            self.shapes[kept], self.pairs.renumbered(pairs, kept.cumsum(0) - 1), self.settings
        )

    def off_degrees(self, common: Tensor, symmetry: Symmetry) -> Tensor:
        """Angle ``(P,)`` of each pair's own best rotation to that of common poses, up to a symmetry."""
        matches = self.pairs.matches
        solved = decompose_similarity(common[matches.source])[0].double()
        own = common[matches.target] @ self.pairs.target_from_source[:, 0]
        # Both are common_from_source; the symmetry acts on the common side, the right of the inverses.
        inverses = decompose_similarity(own)[0].double().mT, solved.mT
        return symmetry.distance(*inverses).rad2deg().float()

    def agreement(self, common: Tensor, symmetry: Symmetry) -> float:
        """Share of pairs whose own best rotation is that of common poses, up to a symmetry."""
        return float((self.off_degrees(common, symmetry) < AGREES_DEG).float().mean())

    def mean_over_pairs(self, values: Tensor) -> Tensor:
        """Mean over each surface's pairs, ``(N,)``, of ``(P,)`` values."""
        matches, count = self.pairs.matches, len(self.shapes)
        total = torch.zeros(count, dtype=values.dtype, device=values.device)
        total = total.index_add(0, matches.source, values).index_add(0, matches.target, values)
        return total / max(count - 1, 1)


def medoid(problem: JointProblem) -> int:
    """The surface whose pairs have the smallest sum of distances."""
    return int(problem.mean_over_pairs(problem.pairs.distance[:, 0].clamp_max(1.0)).argmin())


def star(problem: JointProblem, reference: int) -> Tensor:
    """Common poses ``(N, 4, 4)`` by each surface's own pair with `reference`, in the frame of that."""
    matches = problem.pairs.matches
    poses = torch.eye(4, device=matches.source.device).repeat(len(problem.shapes), 1, 1)
    first = problem.pairs.target_from_source[:, 0]
    to_it, from_it = matches.target == reference, matches.source == reference
    poses[matches.source[to_it]] = first[to_it]
    poses[matches.target[from_it]] = invert_similarity(first[from_it])
    return poses


def spectral(problem: JointProblem) -> Tensor:
    """Common poses ``(N, 4, 4)`` by spectral synchronisation of the pairs' best transforms."""
    pairs = problem.pairs
    finite = pairs.distance[:, 0].isfinite()
    weights = torch.where(finite, 1 / pairs.distance[:, 0].clamp_min(0.01), 0.0)
    common = synchronise(
        pairs.matches.source,
        pairs.matches.target,
        pairs.target_from_source[:, 0],
        weights,
        len(problem.shapes),
    )
    return common.float()


def solve_jointly(problem: JointProblem) -> Tensor:
    """Common poses ``(N, 4, 4)`` that lower the sum of D over all pairs as far as the starts lead.

    The starts are the spectral solution and the three best stars; the later ones are left out where one
    leads to poses with which nearly all pairs agree.
    """
    count = len(problem.shapes)
    starts = [spectral(problem)] + [star(problem, reference) for reference in range(count)]
    energies = torch.stack([problem.distances(start).sum() for start in starts])
    best, best_energy = starts[0], torch.inf
    order = [0, *(energies[1:].argsort()[:3] + 1).tolist()]
    for index in order:
        poses = sweep(problem, starts[index])
        energy = float(problem.distances(poses).sum())
        if energy < best_energy:
            best, best_energy = poses, energy
        if problem.agreement(best, Symmetry()) > SURE:
            break
    settings = replace(problem.settings, saturation=problem.settings.last_saturation)
    last = replace(problem, settings=settings)
    return descend(best, lambda poses: last.distances(poses).sum(), settings.joint_steps)


def sweep(problem: JointProblem, poses: Tensor) -> Tensor:
    """Let each surface in turn take the best of the poses its pairs propose, until none moves."""
    for _ in range(MAX_SWEEPS):
        moved = False
        for index in range(len(poses)):
            candidates = torch.cat([poses[index : index + 1], proposals(problem, poses, index)])
            totals = candidate_totals(problem, poses, index, candidates)
            best = int(totals.argmin())
            if totals[best] < totals[0] - 1e-6:
                poses = poses.clone()
                poses[index] = candidates[best]
                moved = True
        if not moved:
            break
    return poses


def proposals(problem: JointProblem, poses: Tensor, index: int) -> Tensor:
    """Poses ``(C, 4, 4)`` of one surface by all hypotheses of all its pairs, the others held."""
    pairs = problem.pairs
    is_source, is_target = pairs.matches.source == index, pairs.matches.target == index
    by_target = poses[pairs.matches.target[is_source]][:, None] @ pairs.target_from_source[is_source]
    back = invert_similarity(pairs.target_from_source[is_target])
    by_source = poses[pairs.matches.source[is_target]][:, None] @ back
    usable = torch.cat([pairs.distance[is_source], pairs.distance[is_target]]).flatten().isfinite()
    return torch.cat([by_target, by_source]).flatten(0, 1)[usable]


def candidate_totals(problem: JointProblem, poses: Tensor, index: int, candidates: Tensor) -> Tensor:
    """Sum of D over the pairs of one surface, ``(C,)``, for each candidate pose ``(C, 4, 4)`` of it, at a
    glance (every few vertices)."""
    matches = problem.pairs.matches
    mine = matches[(matches.source == index) | (matches.target == index)]
    is_source = (mine.source == index)[:, None, None, None]
    from_common = invert_similarity(candidates)
    as_source = invert_similarity(poses[mine.target])[:, None] @ candidates[None]
    as_target = from_common[None] @ poses[mine.source][:, None]
    transforms = torch.where(is_source, as_source, as_target)
    glance = replace(mine, stride=SCORING_STRIDE)
    return pair_objective(problem.shapes, glance, transforms, problem.settings).sum(dim=0)


def unit_scale(poses: Tensor) -> Tensor:
    """The same common poses ``(N, 4, 4)``, the geometric mean of their scales made one."""
    scale = decompose_similarity(poses)[2].log().mean().exp()
    shrink = torch.diag(torch.cat([(1 / scale).expand(3), scale.new_ones(1)]))
    return shrink @ poses
