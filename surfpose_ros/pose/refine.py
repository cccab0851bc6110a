"""Refinement of pose hypotheses by expectation and maximisation over pixels and vertices.

Every cell of the object is explained by the visible vertices projected near it, weighted by its own
likelihoods (expectation); the pose, the object's proportions and, without intrinsics, the focal length
then move to shorten those distances (maximisation, one damped Gauss-Newton step). All hypotheses at once.

Only the vertices that a hypothesis sees take part, about half of them: each hypothesis works on the same
number M of rows, filled up with a vertex that explains nothing (see `Shape`). Hypotheses of several objects
are refined together, the same number of each; nothing waits for a value, so that a GPU can record it all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from surfpose_ros.category.template import Template
from surfpose_ros.geometry.rotations import rodrigues
from surfpose_ros.pose.hypotheses import Visibility
from surfpose_ros.pose.small_matrices import product, solve

LEAST_EXPONENT = -80.0  # of two: less is nothing beside clutter, and denormal numbers are slow
PRIOR_LOG_FOCAL = 0.15  # spread of an unknown focal length about the assumed one


@dataclass(frozen=True)
class Hypotheses:
    """Poses of objects in their crops, object by object, still in units of the template's diagonal.

    Attributes:
        rotation: ``camera_from_object``, ``(K, 3, 3)``.
        translation: of the object's centre in the camera frame, ``(K, 3)``.
        stretch: log factors on the template's sides, ``(K, 3)``.
        log_focal: log factor on the crop camera's focal length, ``(K,)``.
    """

    rotation: Tensor
    translation: Tensor
    stretch: Tensor
    log_focal: Tensor

    def __getitem__(self, index: Tensor | slice | list[int]) -> "Hypotheses":
        return Hypotheses(
            self.rotation[index], self.translation[index], self.stretch[index], self.log_focal[index]
        )


@dataclass(frozen=True)
class Evidence:
    """What crops of B objects say.

    Attributes:
        probability: of every vertex in the cells used, ``(B, V + 1, C)``; zero for the one that is nowhere.
        clutter: how well clutter explains each cell, as a probability, ``(B, C)``.
        cells: their coordinates, x and y, ``(C, 2)``.
        intrinsics: of the crops' cameras in cells, ``(B, 3, 3)``.
        focal_known: False where the focal lengths are assumptions to be refined.
    """

    probability: Tensor
    clutter: Tensor
    cells: Tensor
    intrinsics: Tensor
    focal_known: bool


def make_evidence(
    log_probability: Tensor, cells: Tensor, intrinsics: Tensor, focal_known: bool
) -> Evidence:
    """From the log-probability of vertices, and last of clutter, in the cells used, ``(B, V + 1, C)``."""
    probability = log_probability.exp()
    # Clutter explains a cell as well as a visible vertex one and a half sigma away would.
    clutter = probability[:, -1] * math.exp(-1.125)
    probability[:, -1] = 0
    return Evidence(probability, clutter, cells, intrinsics, focal_known)


@dataclass(frozen=True)
class Shape:
    """The template for refinement. One vertex more than the mesh's, the last, is nowhere: rows that have
    fewer vertices than others are filled up with it.

    Attributes:
        vertices: ``(V + 1, 3)``.
        normals: ``(V + 1, 3)``.
        areas: ``(V + 1,)``.
        stretch_std: spread of log sides, ``(3,)``.
        directions: unit, object to camera, ``(N, 3)``.
        seen: the vertices visible from each, ``(N, M)`` int64.
    """

    vertices: Tensor
    normals: Tensor
    areas: Tensor
    stretch_std: Tensor
    directions: Tensor
    seen: Tensor


def make_shape(template: Template, visibility: Visibility) -> Shape:
    """The template and what is seen of it, on the visibility's device."""
    device = visibility.directions.device
    mesh, count = template.mesh, len(template.mesh.vertices)
    numbers = torch.arange(count, device=device).where(visibility.visible, count)
    most = int(visibility.visible.sum(dim=-1).max())

    def extended(values: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(values).to(device)
        return torch.cat([tensor, torch.zeros_like(tensor[:1])])

    return Shape(
        extended(mesh.vertices),
        extended(mesh.normals),
        extended(mesh.vertex_areas),
        torch.from_numpy(template.extent_log_std).float().to(device),
        visibility.directions,
        numbers.sort(dim=-1).values[:, :most].contiguous(),
    )


@dataclass(frozen=True)
class Refined:
    """What refinement gives.

    Attributes:
        hypotheses: moved to where they explain the cells best.
        likelihood: log-likelihood of all cells, ``(K,)``.
        information: inverse covariance of (rotation, translation), per squared cell of residual,
            ``(K, 6, 6)``.
        coverage: share of the visible surface's image area that explains cells of the picture, 0 to 1,
            ``(K,)``.
    """

    hypotheses: Hypotheses
    likelihood: Tensor
    information: Tensor
    coverage: Tensor


def refine(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, sigmas: Tensor, steps: "Steps"
) -> Refined:
    """Alternate expectation and a step of maximisation, coarse to fine.

    Args:
        hypotheses: to be moved.
        evidence: of their objects.
        shape: of the template.
        sigmas: one a round, in cells, ``(R,)``.
        steps: what it repeats.
    """
    information = hypotheses.rotation.new_zeros(len(hypotheses.rotation), 6, 6)
    each = len(hypotheses.rotation) // len(evidence.intrinsics)  # hypotheses of an object
    intrinsics = evidence.intrinsics.repeat_interleave(each, dim=0)
    for sigma in sigmas.unbind():
        hypotheses, information = steps.advance(hypotheses, evidence, shape, intrinsics, sigma)
    likelihood, coverage = steps.settle(hypotheses, evidence, shape, intrinsics, sigmas[-1])
    return Refined(hypotheses, likelihood, information, coverage)


def advance(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, intrinsics: Tensor, sigma: Tensor
) -> tuple[Hypotheses, Tensor]:
    """One round: hypotheses moved, and the information on them; ``(K, 3, 3)`` intrinsics."""
    sight = _look(hypotheses, shape, intrinsics)
    weight, target, _ = _explain(sight, evidence, sigma)
    weight, residual = weight * sight.squareness, target - sight.cells
    return _maximise(hypotheses, evidence, shape, sight, weight, residual, sigma)


def settle(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, intrinsics: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """Likelihood and coverage of what no longer moves, see `Refined`."""
    sight = _look(hypotheses, shape, intrinsics)
    weight, _, likelihood = _explain(sight, evidence, sigma)
    return likelihood, _coverage(sight, shape, weight)


@dataclass(frozen=True)
class Steps:
    """The parts of a refinement, as they are or compiled."""

    advance: Callable[[Hypotheses, Evidence, Shape, Tensor, Tensor], tuple[Hypotheses, Tensor]] = advance
    settle: Callable[[Hypotheses, Evidence, Shape, Tensor, Tensor], tuple[Tensor, Tensor]] = settle


@dataclass(frozen=True)
class _Sight:
    """What each hypothesis shows: ``(K, M)`` vertices.

    Attributes:
        index: which vertices.
        stretched: in the object frame, ``(K, M, 3)``.
        points: in the camera frame, ``(K, M, 3)``.
        cells: where they project, ``(K, M, 2)``.
        focal: in cells, ``(K, 1, 2)``.
        squareness: cosine between normal and direction to the camera, at least zero, ``(K, M)``. Of a
            vertex at the outline only the inner half of its surroundings is seen: the mean of the cells
            that it explains lies inwards, and with full weight such vertices would shrink the object.
    """

    index: Tensor
    stretched: Tensor
    points: Tensor
    cells: Tensor
    focal: Tensor
    squareness: Tensor


def _look(hypotheses: Hypotheses, shape: Shape, intrinsics: Tensor) -> _Sight:
    centres = -product(hypotheses.translation[:, None], hypotheses.rotation)  # (K, 1, 3), object frame
    index = shape.seen[product(centres, shape.directions.T)[:, 0].argmax(dim=-1)]
    vertices = shape.vertices[index]
    stretched = vertices * hypotheses.stretch.exp()[:, None]
    points = product(stretched, hypotheses.rotation.transpose(-1, -2)) + hypotheses.translation[:, None]
    focal = intrinsics.diagonal(dim1=-2, dim2=-1)[:, None, :2] * hypotheses.log_focal.exp()[:, None, None]
    cells = focal * points[..., :2] / points[..., 2:].clamp_min(1e-3) + intrinsics[:, None, :2, 2]
    toward = normalize(centres - vertices, dim=-1)
    squareness = (toward * shape.normals[index]).sum(dim=-1).clamp_min(0)
    return _Sight(index, stretched, points, cells, focal, squareness)


def _explain(sight: _Sight, evidence: Evidence, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How much each visible vertex explains each cell.

    Returns:
        For every vertex seen the summed responsibility ``(K, M)`` and its mean cell ``(K, M, 2)``; and the
        log-likelihood of all cells ``(K,)``.
    """
    share = _closeness(sight.cells, evidence.cells, sigma)
    objects, rows, _ = evidence.probability.shape
    each = len(sight.index) // objects
    first = torch.arange(objects, device=share.device).repeat_interleave(each) * rows
    row = (sight.index + first[:, None]).flatten()
    share *= evidence.probability.flatten(0, 1).index_select(0, row).view_as(share)  # (K, M, C)
    total = share.sum(dim=1) + evidence.clutter.repeat_interleave(each, dim=0)
    moments = torch.stack([torch.ones_like(total[0]), *evidence.cells.unbind(dim=-1)]) / total[:, None]
    if torch.compiler.is_compiling():  # then a sum costs no table, and beats products with three columns
        weighted = torch.stack([(share * part[:, None]).sum(dim=-1) for part in moments.unbind(1)], dim=-1)
    else:
        weighted = share @ moments.transpose(-1, -2)
    weight = weighted[..., 0]
    return weight, weighted[..., 1:] / weight.clamp_min(1e-9)[..., None], total.log().sum(dim=-1)


def _closeness(first: Tensor, second: Tensor, sigma: Tensor) -> Tensor:
    """``exp(-|a - b|^2 / 2 sigma^2)`` of all pairs of ``(K, M, 2)`` and ``(C, 2)``, ``(K, M, C)``.

    Unless compiled, squared distances come of one product of matrices, taken about the middle for their
    precision. As a power of two, and cut off before numbers lose digits, it takes a CPU a small part of the
    time.
    """
    scale, middle = math.sqrt(math.log2(math.e)) / sigma, second.mean(dim=0)
    first, second = (first - middle) * scale, (second - middle) * scale
    if torch.compiler.is_compiling():
        squares = (first[:, :, None] - second).square().sum(dim=-1)
        return (-squares / 2).clamp_min(LEAST_EXPONENT).exp2()
    left = [first, -first.square().sum(dim=-1, keepdim=True) / 2, torch.ones_like(first[..., :1])]
    right = [second, torch.ones_like(second[:, :1]), -second.square().sum(dim=-1, keepdim=True) / 2]
    exponent = torch.cat(left, dim=-1) @ torch.cat(right, dim=-1).T
    return exponent.clamp_min_(LEAST_EXPONENT).exp2_()


def _coverage(sight: _Sight, shape: Shape, explained: Tensor) -> Tensor:
    """See `Refined`; `explained` is the number of cells that each visible vertex explains, ``(K, M)``."""
    areas = shape.areas[sight.index] * sight.focal.prod(dim=-1) / sight.points[..., 2].clamp_min(1e-3) ** 2
    expected = (sight.squareness * areas).sum(dim=-1)
    return (explained.sum(dim=-1) / expected.clamp_min(1e-6)).clamp(max=1)


def _maximise(
    hypotheses: Hypotheses,
    evidence: Evidence,
    shape: Shape,
    sight: _Sight,
    weight: Tensor,
    residual: Tensor,
    sigma: Tensor,
) -> tuple[Hypotheses, Tensor]:
    jacobian = _jacobian(hypotheses, sight)
    weighted = (jacobian * weight[..., None, None]).flatten(1, 2).transpose(-1, -2)  # (K, 10, 2 M)
    normal = product(weighted, jacobian.flatten(1, 2)) / sigma**2
    gradient = product(weighted, residual.flatten(1, 2)[..., None])[..., 0] / sigma**2
    # Priors on proportions and focal length, per effective cell so that they neither vanish nor rule.
    strength = weight.sum(dim=1, keepdim=True) / 40
    focal_std = 1e-4 if evidence.focal_known else PRIOR_LOG_FOCAL
    std = torch.cat([shape.stretch_std, torch.full_like(shape.stretch_std[:1], focal_std)])
    prior = strength / std**2
    state = torch.cat([hypotheses.stretch, hypotheses.log_focal[:, None]], dim=-1)
    diagonal = torch.zeros_like(gradient)
    diagonal[:, 6:] = prior
    gradient = gradient - torch.cat([torch.zeros_like(gradient[:, :6]), prior * state], dim=-1)
    damping = 1e-3 * normal.diagonal(dim1=-2, dim2=-1).amax(dim=-1, keepdim=True) + 1e-6
    step = solve(normal + torch.diag_embed(diagonal + damping), gradient)
    step = step * (0.5 / step[:, :3].norm(dim=-1, keepdim=True).clamp_min(0.5))  # at most 0.5 rad a step
    moved = replace(
        hypotheses,
        rotation=product(rodrigues(step[:, :3]), hypotheses.rotation),
        translation=hypotheses.translation + step[:, 3:6],
        stretch=hypotheses.stretch + step[:, 6:9],
        log_focal=hypotheses.log_focal + step[:, 9],
    )
    return moved, normal[:, :6, :6]


def _jacobian(hypotheses: Hypotheses, sight: _Sight) -> Tensor:
    """Derivative of projected cells by (rotation, translation, stretch, log focal), ``(K, M, 2, 10)``."""
    z = sight.points[..., 2:].clamp_min(1e-3)
    by_focal = sight.focal * sight.points[..., :2] / z
    by_point = torch.cat([torch.diag_embed(sight.focal / z), -(by_focal / z)[..., None]], dim=-1)
    rotated = (sight.points - hypotheses.translation[:, None])[..., None, :].expand_as(by_point)
    by_rotation = torch.linalg.cross(rotated, by_point)
    by_stretch = product(by_point, hypotheses.rotation[:, None]) * sight.stretched[..., None, :]
    return torch.cat([by_rotation, by_point, by_stretch, by_focal[..., None]], dim=-1)
