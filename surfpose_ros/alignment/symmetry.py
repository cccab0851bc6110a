"""Turns of the common frame after which the objects of a category cannot be told apart.

One object is laid over another, turned by some angle about a candidate axis. If it fits there no worse
than unturned, in shape and in looks, the category has that symmetry. Objects are compared with each
other and never with themselves, so that what varies within the category sets the measure.
"""

import torch
from torch import Tensor

from surfpose_ros.alignment.fields import field_distance
from surfpose_ros.alignment.joint import JointProblem
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.geometry.rotations import rotation_from_rotvec
from surfpose_ros.geometry.similarity import invert_similarity, transform_points
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry

MAX_PAIRS = 15
STRIDE = 4  # every so many vertices are laid over
STEP_DEG = 10
ORDERS = (CONTINUOUS, 6, 4, 3, 2)  # the first that holds is taken
# Share of the way from the unturned fit to a random one that still counts as the same. Cars laid front to
# back come as low as 0.14, so less is asked where the pairs themselves were never in doubt.
SAME_SURELY, SAME_PERHAPS = 0.05, 0.25
IN_DOUBT = 0.8  # share of pairs that agree with the solution, below which they were in doubt


def find_symmetry(problem: JointProblem, common: Tensor) -> Symmetry:
    """The symmetry about the best of the candidate axes, in the common frame.

    A turn that fits nearly as well as none is a symmetry if the pairs' own rotations, which would then
    be spread over such turns, disagree with the solution and agree once it is allowed for.

    Args:
        problem: N surfaces.
        common: ``common_from_normalised``, ``(N, 4, 4)``.
    """
    axes = candidate_axes(problem.shapes, common)
    misfits = turned_misfits(problem, common, axes)
    surely = best_symmetry(axes, misfits, SAME_SURELY)
    if surely:
        return surely
    plain = problem.agreement(common, Symmetry())
    perhaps = best_symmetry(axes, misfits, SAME_PERHAPS)
    if perhaps and plain < IN_DOUBT <= problem.agreement(common, perhaps):
        return perhaps
    return Symmetry()


def best_symmetry(axes: Tensor, misfits: Tensor, same: float) -> Symmetry:
    """The highest symmetry about any of the axes ``(A, 3)``, all of whose turns cost less than `same`.

    `misfits` is ``(A, M)``: of M even turns about each axis.
    """
    found = [_order(row, same) for row in misfits]
    ranked = [order for order in ORDERS if order in found]
    if not ranked:
        return Symmetry()
    # Of several axes of that order, the one about which turning costs least.
    best = min(
        (index for index, order in enumerate(found) if order == ranked[0]),
        key=lambda index: float(misfits[index].mean()),
    )
    across = (axes @ axes[best]).abs() < 0.3
    half_turn = misfits[:, misfits.shape[1] // 2] < same
    x, y, z = axes[best].tolist()
    return Symmetry(ranked[0], (x, y, z), reversible=bool((across & half_turn).any()))


def _order(misfits: Tensor, same: float) -> int:
    count = len(misfits)
    for order in ORDERS:
        steps = 1 if order == CONTINUOUS else count // order
        if misfits[steps::steps].max() < same:
            return order
    return 1


def candidate_axes(shapes: Shapes, common: Tensor) -> Tensor:
    """Unit axes ``(A, 3)``: "up" where the surfaces tell it, and the principal axes of all points."""
    points, weights = _pooled(shapes, common)
    centred = points - (weights[:, None] * points).sum(dim=0)
    axes = torch.linalg.eigh(centred.T @ (weights[:, None] * centred)).eigenvectors.T
    ups = (common[:, :3, :3] @ shapes.up[..., None])[shapes.up_known, :, 0]
    if not len(ups):
        return axes
    up = torch.nn.functional.normalize(ups.mean(dim=0), dim=0)
    return torch.cat([up[None], axes[(axes @ up).abs() < 0.9]])


def turned_misfits(problem: JointProblem, common: Tensor, axes: Tensor) -> Tensor:
    """How much worse objects fit each other when one is turned, ``(A, 360 / STEP_DEG)``.

    0 is the fit unturned, 1 that of points picked at random; the worse of shape and looks counts.
    """
    matches = problem.pairs.matches
    chosen = torch.linspace(0, len(matches) - 1, min(MAX_PAIRS, len(matches))).long()
    chosen = chosen.to(common.device)
    source, target = matches.source[chosen], matches.target[chosen]
    points, weights = _pooled(problem.shapes, common)
    centre = (weights[:, None] * points).sum(dim=0)
    angles = torch.deg2rad(torch.arange(0, 360, STEP_DEG, device=common.device, dtype=common.dtype))
    rows = []
    for axis in axes:
        fits = []
        for rotation in rotation_from_rotvec(angles[:, None] * axis):
            turn = torch.eye(4, device=common.device)
            turn[:3, :3], turn[:3, 3] = rotation, centre - rotation @ centre
            transforms = invert_similarity(common[target]) @ turn @ common[source]
            fits.append(_fit(problem.shapes, source, target, transforms))
        rows.append(torch.stack(fits))
    fits_by_axis = torch.stack(rows)  # (A, angles, 2)
    unturned = fits_by_axis[:, :1]
    at_random = _random_fit(problem.shapes, source, target)
    return ((fits_by_axis - unturned) / (at_random - unturned).clamp_min(1e-6)).amax(dim=-1)


def _fit(shapes: Shapes, source: Tensor, target: Tensor, transforms: Tensor) -> Tensor:
    """Mean distance to the surface, and in features to the nearest vertex, ``(2,)``."""
    moved = transform_points(transforms, shapes.vertices[source, ::STRIDE])
    weights = (shapes.weights[source] * shapes.seen[source])[:, ::STRIDE]
    shape = field_distance(shapes.fields, target, moved)
    there = shapes.vertices[target].masked_fill(~shapes.seen[target][..., None], 1e3)
    nearest = torch.cdist(moved, there).argmin(dim=2)
    looks = (shapes.features[source, ::STRIDE] - shapes.features[target[:, None], nearest]).norm(dim=-1)
    return torch.stack([(weights * each).sum() / weights.sum() for each in (shape, looks)])


def _random_fit(shapes: Shapes, source: Tensor, target: Tensor) -> Tensor:
    """The same for vertices laid on any of the other's: what is left when nothing fits."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(shapes.vertices.shape[1], generator=generator).to(source.device)
    weights = shapes.weights[source] * shapes.seen[source] * shapes.seen[target][:, order]
    # Bodies of one size about one centre: a point's distance to a surface it has nothing to do with.
    shape = field_distance(shapes.fields, target, shapes.vertices[source].flip(-1).roll(1, dims=-1))
    looks = (shapes.features[source] - shapes.features[target[:, None], order[None]]).norm(dim=-1)
    return torch.stack([(weights * each).sum() / weights.sum() for each in (shape, looks)])


def _pooled(shapes: Shapes, common: Tensor) -> tuple[Tensor, Tensor]:
    """All vertices in the common frame ``(M, 3)`` and their weights ``(M,)``, sum one."""
    weights = shapes.weights.flatten() / len(shapes)
    return transform_points(common, shapes.vertices).flatten(0, 1), weights
