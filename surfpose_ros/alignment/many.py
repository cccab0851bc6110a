"""Every video of a category in one frame, with no label: pairs, then all pairs at once, then the frame."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.alignment.alignment import Alignment, PairOutcome
from surfpose_ros.alignment.canonical import canonical_frame
from surfpose_ros.alignment.joint import JointProblem, medoid, solve_jointly, star, unit_scale
from surfpose_ros.alignment.pairs import align_pairs, all_pairs
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import prepare_shapes
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import rotation_angle
from surfpose_ros.geometry.similarity import decompose_similarity, invert_similarity
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.surface import Surface

AGREES_DEG = 30.0  # a pair agrees with the joint solution within this
MIN_CONFIDENCE = 0.34  # share of the others that a video's own pairs must agree with


def align_surfaces(
    surfaces: Sequence[Surface],
    settings: AlignmentSettings | None = None,
    progress: Progress = silent,
    device: torch.device | str = "cpu",
) -> Alignment:
    """Bring the surfaces of one category into their canonical frame.

    Args:
        surfaces: at least two, of one backbone, with different names.
        settings: of the alignment.
        progress: told the stages.
        device: where the tensors live.

    Raises:
        SurfposeError: fewer than two surfaces, or none that fit together, or broken ones.
    """
    settings = settings or AlignmentSettings()
    check_surfaces(surfaces)
    progress("align", 0, 4, "distance fields")
    shapes = prepare_shapes(surfaces, settings, device)
    progress("align", 1, 4, "pairs")
    source, target = all_pairs(len(surfaces), device)
    pairs = align_pairs(shapes, source, target, settings)
    problem = JointProblem(shapes, pairs, settings)
    progress("align", 2, 4, "all pairs at once")
    if settings.reference == "medoid":
        common = star(problem, medoid(problem))
    else:
        common = solve_jointly(problem, lambda done, total: None)
    common = unit_scale(common)
    progress("align", 3, 4, "canonical frame")
    off = _off_solution(problem, common)
    confidence = agreement(problem, off)
    common_from_video = common.double() @ shapes.normalised_from_video
    frame, axes = canonical_frame(surfaces, common_from_video.cpu().numpy())
    names = [surface.name for surface in surfaces]
    alignment = Alignment(
        category=surfaces[0].category,
        canonical_from_video=dict(zip(names, frame @ common_from_video.cpu().numpy(), strict=True)),
        confidence={name: round(float(value), 3) for name, value in zip(names, confidence, strict=True)},
        pairs=_outcomes(names, problem, off),
        axes=axes,
        settings=settings.as_dict(),
    )
    progress("align", 4, 4)
    return alignment


def check_surfaces(surfaces: Sequence[Surface]) -> None:
    """Refuse what cannot be aligned.

    Raises:
        SurfposeError: says which surface, why, and what to do.
    """
    if len(surfaces) < 2:
        raise SurfposeError(
            f"{len(surfaces)} surface(s) to align; it takes two videos of different objects at least"
        )
    names = [surface.name for surface in surfaces]
    for name in names:
        if names.count(name) > 1:
            raise SurfposeError(f"two surfaces are called {name}; give each video its own name")
    for surface in surfaces:
        _check_surface(surface, surfaces[0])


def _check_surface(surface: Surface, first: Surface) -> None:
    again = "reconstruct it again"
    if surface.backbone != first.backbone or surface.features.shape[-1] != first.features.shape[-1]:
        raise SurfposeError(
            f"{surface.name}: {surface.features.shape[-1]} features of {surface.backbone}, and of "
            f"{first.name}: {first.features.shape[-1]} of {first.backbone}; use one backbone for all"
        )
    if len(surface.mesh.vertices) < 4 or not len(surface.mesh.faces):
        raise SurfposeError(f"{surface.name}: {len(surface.mesh.vertices)} vertices are no mesh; {again}")
    if not np.isfinite(surface.mesh.vertices).all() or surface.mesh.diagonal <= 0:
        raise SurfposeError(f"{surface.name}: vertices that are not finite, or all one point; {again}")
    if not np.isfinite(surface.features[surface.feature_valid]).all():
        raise SurfposeError(f"{surface.name}: view features that are not finite; {again}")
    if not surface.feature_valid.any(axis=1).sum() >= 4:
        raise SurfposeError(f"{surface.name}: fewer than 4 vertices were seen by a camera; {again}")


def _off_solution(problem: JointProblem, common: Tensor) -> Tensor:
    """Angle in degrees, ``(P,)``, between each pair's own best rotation and the common solution's."""
    matches = problem.pairs.matches
    solved = invert_similarity(common[matches.target]) @ common[matches.source]
    own = decompose_similarity(problem.pairs.target_from_source[:, 0])[0]
    return rotation_angle(own, decompose_similarity(solved)[0]).rad2deg()


def agreement(problem: JointProblem, off_deg: Tensor) -> Tensor:
    """Share of each surface's pairs, ``(N,)``, whose own best transform agrees with the solution."""
    matches, count = problem.pairs.matches, len(problem.shapes)
    agrees = (off_deg < AGREES_DEG).float()
    total = torch.zeros(count, device=off_deg.device)
    return total.index_add(0, matches.source, agrees).index_add(0, matches.target, agrees) / (count - 1)


def _outcomes(names: list[str], problem: JointProblem, off_deg: Tensor) -> tuple[PairOutcome, ...]:
    pairs = problem.pairs
    second = pairs.distance[:, 1] if pairs.distance.shape[1] > 1 else torch.full_like(off_deg, torch.inf)
    rows = zip(
        pairs.matches.source.tolist(),
        pairs.matches.target.tolist(),
        pairs.distance[:, 0].tolist(),
        second.tolist(),
        off_deg.tolist(),
        strict=True,
    )
    return tuple(
        PairOutcome(
            names[source],
            names[target],
            round(distance, 5) if np.isfinite(distance) else 1.0,
            round(runner_up, 5) if np.isfinite(runner_up) else None,
            round(off, 2),
        )
        for source, target, distance, runner_up, off in rows
    )
