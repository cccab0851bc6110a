"""Every video of a category in one frame, with no label: pairs, then all pairs at once, then the frame."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.alignment.alignment import Alignment, PairOutcome
from surfpose_ros.alignment.canonical import canonical_frame
from surfpose_ros.alignment.checks import check_surfaces
from surfpose_ros.alignment.chunks import align_all_pairs
from surfpose_ros.alignment.joint import AGREES_DEG, JointProblem, medoid, solve_jointly, star, unit_scale
from surfpose_ros.alignment.misfits import misfit
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import prepare_shapes
from surfpose_ros.alignment.symmetry import find_symmetry
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import FanOut, in_process
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.surface import Surface


def align_surfaces(
    surfaces: Sequence[Surface],
    settings: AlignmentSettings | None = None,
    progress: Progress = silent,
    device: torch.device | str = "cpu",
    fan_out: FanOut = in_process,
    kept_pairs: Path | None = None,
) -> Alignment:
    """Bring the surfaces of one category into their canonical frame.

    Args:
        surfaces: at least two, of one backbone, with different names. Those whose category is not that
            of the majority are set aside.
        settings: of the alignment.
        progress: told the stages.
        device: where the tensors live.
        fan_out: who aligns the pairs.
        kept_pairs: folder for pairs done, taken up again after a stop, and removed at the end.

    Raises:
        SurfposeError: fewer than two surfaces of one category, broken ones, or no such device.
    """
    device = torch_device(device)
    settings = settings or AlignmentSettings()
    category, kept, set_aside = _one_category(surfaces)
    check_surfaces(kept)
    progress("align", 0, 3, "pairs")
    shapes = prepare_shapes(kept, settings, device)
    pairs = align_all_pairs(shapes, settings, progress, fan_out, kept_pairs)
    problem = JointProblem(shapes, pairs, settings)
    progress("align", 1, 3, "all pairs at once")
    solution = solve(problem)
    members = list(range(len(kept)))
    while (found := misfit(solution.problem, solution.off_deg)) is not None:
        index, reason = found
        set_aside[kept[members.pop(index)].name] = reason
        solution = solve(problem.without(_others(len(kept), members)))
    progress("align", 2, 3, "canonical frame")
    kept = [kept[index] for index in members]
    names = [surface.name for surface in kept]
    common_from_video = solution.common.double() @ solution.problem.shapes.normalised_from_video
    frame, axes = canonical_frame(kept, common_from_video.cpu().numpy())
    alignment = Alignment(
        category=category,
        canonical_from_video=dict(zip(names, frame @ common_from_video.cpu().numpy(), strict=True)),
        confidence=dict(zip(names, solution.confidence(), strict=True)),
        set_aside=set_aside,
        pairs=_outcomes(names, solution),
        symmetry=solution.symmetry.turned(torch.from_numpy(frame[:3, :3]))
        if solution.symmetry
        else Symmetry(),
        axes=axes,
        settings=settings.as_dict(),
    )
    if kept_pairs:
        shutil.rmtree(kept_pairs)
    progress("align", 3, 3)
    return alignment


@dataclass(frozen=True)
class Solution:
    """Common poses of all surfaces of a problem.

    Attributes:
        problem: that it solves.
        common: ``common_from_normalised``, ``(N, 4, 4)``.
        symmetry: in the common frame.
        off_deg: ``(P,)`` angle of each pair's own best rotation to the solution's, up to the symmetry.
    """

    problem: JointProblem
    common: Tensor
    symmetry: Symmetry
    off_deg: Tensor

    def confidence(self) -> list[float]:
        """Of each surface: the share of its pairs that by themselves agree with the solution."""
        agrees = (self.off_deg < AGREES_DEG).float()
        return [round(float(value), 3) for value in self.problem.mean_over_pairs(agrees)]


def solve(problem: JointProblem) -> Solution:
    """Common poses, their symmetry, and what the pairs say to them."""
    if problem.settings.reference == "medoid":
        common = star(problem, medoid(problem))
    else:
        common = solve_jointly(problem)
    common = unit_scale(common)
    symmetry = find_symmetry(problem, common)
    return Solution(problem, common, symmetry, problem.off_degrees(common, symmetry))


def _one_category(surfaces: Sequence[Surface]) -> tuple[str, list[Surface], dict[str, str]]:
    """The majority's category, its surfaces, and the others with the reason why they are left out."""
    if not surfaces:
        raise SurfposeError("no surfaces to align")
    category = Counter(surface.category for surface in surfaces).most_common(1)[0][0]
    others = {
        surface.name: f"it is called a {surface.category}, the others {category}"
        for surface in surfaces
        if surface.category != category
    }
    return category, [surface for surface in surfaces if surface.category == category], others


def _others(count: int, members: list[int]) -> list[int]:
    return [index for index in range(count) if index not in members]


def _outcomes(names: list[str], solution: Solution) -> tuple[PairOutcome, ...]:
    pairs = solution.problem.pairs
    none = torch.full_like(solution.off_deg, torch.inf)
    columns = (
        pairs.matches.source,
        pairs.matches.target,
        pairs.distance[:, 0],
        pairs.distance[:, 1] if pairs.distance.shape[1] > 1 else none,
        solution.off_deg,
    )
    return tuple(
        PairOutcome(
            names[source],
            names[target],
            round(distance, 5) if np.isfinite(distance) else None,
            round(second, 5) if np.isfinite(second) else None,
            round(off, 2),
        )
        for source, target, distance, second, off in zip(*(c.tolist() for c in columns), strict=True)
    )
