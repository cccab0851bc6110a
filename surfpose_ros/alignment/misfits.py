"""Which video does not belong to the others, if one does not.

Either of two signs tells: its own pairs contradict the common solution, or it looks unlike all
others, by far more than they differ among themselves.
"""

import torch
from torch import Tensor

from surfpose_ros.alignment.joint import AGREES_DEG, JointProblem
from surfpose_ros.alignment.looks import look_distance

MIN_AGREEMENT = 0.25  # share of a video's pairs that agree with the solution; chance gives less than 0.1
# Median look distance to the others, over the median of all videos. A lying cow among standing ones: 1.3;
# a cup among cars, cows or horses: 1.5 to 1.65.
MAX_UNLIKENESS = 1.4


def misfit(problem: JointProblem, off_deg: Tensor) -> tuple[int, str] | None:
    """The surface that fits worst, with the reason; None if all fit, or too few are left to tell.

    Args:
        problem: aligned pairs of N surfaces.
        off_deg: ``(P,)`` angle between each pair's own rotation and the solution's.
    """
    count = len(problem.shapes)
    if count < 4:
        return None
    unlike = unlikeness(problem)
    worst = int(unlike.argmax())
    if unlike[worst] > MAX_UNLIKENESS:
        return worst, f"it looks unlike the others: {unlike[worst]:.1f} times their distance"
    agreement = problem.mean_over_pairs((off_deg < AGREES_DEG).float())
    worst = int(agreement.argmin())
    if agreement[worst] < MIN_AGREEMENT and agreement.median() >= 2 * MIN_AGREEMENT:
        agreeing = round(float(agreement[worst]) * (count - 1))
        return worst, f"only {agreeing} of its {count - 1} pairs agree with the others' alignment"
    return None


def unlikeness(problem: JointProblem) -> Tensor:
    """How unlike the others each surface looks, ``(N,)``: its median look distance over all's median."""
    matches, count = problem.pairs.matches, len(problem.shapes)
    looks = look_distance(problem.shapes, matches)
    table = torch.full((count, count), torch.nan, device=looks.device)
    table[matches.source, matches.target] = looks
    table[matches.target, matches.source] = looks
    medians = table.nanmedian(dim=1).values
    return medians / medians.median()
