"""Refinement of pose hypotheses by expectation and maximisation over pixels and vertices.

Every cell of the object is explained by the visible vertices projected near it, weighted by its own
likelihoods (expectation); the pose, the object's proportions and, without intrinsics, the focal length
then move to shorten those distances (maximisation, one damped Gauss-Newton step). All hypotheses at once.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surfpose_ros.geometry.rotations import cross_matrix, rotation_from_rotvec
from surfpose_ros.pose.hypotheses import Visibility

PRIOR_LOG_FOCAL = 0.15  # spread of an unknown focal length about the assumed one


@dataclass(frozen=True)
class Hypotheses:
    """Poses of one object in one crop, still in units of the template's diagonal.

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

    def __getitem__(self, index: Tensor | slice) -> "Hypotheses":
        return Hypotheses(
            self.rotation[index], self.translation[index], self.stretch[index], self.log_focal[index]
        )


@dataclass(frozen=True)
class Evidence:
    """What one crop says.

    Attributes:
        log_probability: of vertices and clutter in the cells used, ``(C, V + 1)``.
        cells: their coordinates, x and y, ``(C, 2)``.
        intrinsics: of the crop's camera in cells, ``(3, 3)``.
        focal_known: False where the focal length is an assumption to be refined.
        shape: height and width of the map, in cells.
    """

    log_probability: Tensor
    cells: Tensor
    intrinsics: Tensor
    focal_known: bool
    shape: tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """The template for refinement: vertices, normals ``(V, 3)`` and areas ``(V,)``, spread of log sides
    ``(3,)``, visibility."""

    vertices: Tensor
    normals: Tensor
    areas: Tensor
    stretch_std: Tensor
    visibility: Visibility


def project(hypotheses: Hypotheses, shape: Shape, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Cells ``(K, V, 2)`` of all vertices, and their camera-frame points ``(K, V, 3)``."""
    stretched = shape.vertices * hypotheses.stretch.exp()[:, None]
    points = stretched @ hypotheses.rotation.transpose(-1, -2) + hypotheses.translation[:, None]
    focal = torch.stack([intrinsics[0, 0], intrinsics[1, 1]]) * hypotheses.log_focal.exp()[:, None]
    cells = focal[:, None] * points[..., :2] / points[..., 2:].clamp_min(1e-3) + intrinsics[:2, 2]
    return cells, points


def expectation(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, sigma: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How much each visible vertex explains each cell.

    Returns:
        For every vertex the summed responsibility ``(K, V)`` and its mean cell ``(K, V, 2)``; the
        projected cells ``(K, V, 2)``; and the log-likelihood of all cells ``(K,)``.
    """
    projected, _ = project(hypotheses, shape, evidence.intrinsics)
    centres = -(hypotheses.rotation.transpose(-1, -2) @ hypotheses.translation[..., None])[..., 0]
    visible = shape.visibility.of(centres)
    squared = torch.cdist(evidence.cells.expand(len(projected), -1, -1), projected).square()
    near = evidence.log_probability[:, :-1] - squared / (2 * sigma**2)
    near = near.masked_fill(~visible[:, None], -torch.inf)
    # Clutter explains a cell as well as a visible vertex one and a half sigma away would.
    clutter = evidence.log_probability[:, -1] - 1.125
    total = torch.logaddexp(near.logsumexp(dim=-1), clutter)
    share = (near - total[..., None]).exp()  # (K, C, V)
    weight = share.sum(dim=1)
    mean = share.transpose(1, 2) @ evidence.cells / weight.clamp_min(1e-9)[..., None]
    return weight, mean, projected, total.sum(dim=-1)


def refine(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, sigmas: tuple[float, ...]
) -> tuple[Hypotheses, Tensor, Tensor]:
    """Alternate expectation and one step of maximisation, once a sigma (in cells), coarse to fine.

    Returns:
        Refined hypotheses; their final log-likelihoods ``(K,)``; and the inverse covariance of
        (rotation, translation) ``(K, 6, 6)``, per squared cell of residual.
    """
    information = hypotheses.rotation.new_zeros(len(hypotheses.rotation), 6, 6)
    for sigma in sigmas:
        weight, target, projected, _ = expectation(hypotheses, evidence, shape, sigma)
        weight = weight * _squareness(hypotheses, shape)
        hypotheses, information = _maximise(hypotheses, evidence, shape, weight, target - projected, sigma)
    *_, likelihood = expectation(hypotheses, evidence, shape, sigmas[-1])
    return hypotheses, likelihood, information


def coverage(hypotheses: Hypotheses, evidence: Evidence, shape: Shape, sigma: float) -> Tensor:
    """Share of the visible surface's image area that explains cells of the picture, ``(K,)``, 0 to 1."""
    explained, *_ = expectation(hypotheses, evidence, shape, sigma)
    _, points = project(hypotheses, shape, evidence.intrinsics)
    focal = evidence.intrinsics[0, 0] * evidence.intrinsics[1, 1] * hypotheses.log_focal.exp()[:, None] ** 2
    centres = -(hypotheses.rotation.transpose(-1, -2) @ hypotheses.translation[..., None])[..., 0]
    seen = shape.visibility.of(centres) * _squareness(hypotheses, shape)
    expected = (seen * shape.areas * focal / points[..., 2].clamp_min(1e-3) ** 2).sum(dim=-1)
    return (explained.sum(dim=-1) / expected.clamp_min(1e-6)).clamp(max=1)


def _squareness(hypotheses: Hypotheses, shape: Shape) -> Tensor:
    """Cosine between each vertex's normal and the direction to the camera, ``(K, V)``, at least zero.

    Of a vertex at the outline only the inner half of its surroundings is seen: the mean of the cells that
    it explains lies inwards, and with full weight such vertices would shrink the object.
    """
    centres = -(hypotheses.rotation.transpose(-1, -2) @ hypotheses.translation[..., None])[..., 0]
    toward = torch.nn.functional.normalize(centres[:, None] - shape.vertices, dim=-1)
    return (toward * shape.normals).sum(dim=-1).clamp_min(0)


def _maximise(
    hypotheses: Hypotheses, evidence: Evidence, shape: Shape, weight: Tensor, residual: Tensor, sigma: float
) -> tuple[Hypotheses, Tensor]:
    jacobian = _jacobian(hypotheses, evidence, shape)
    weighted = jacobian * weight[..., None, None]
    normal = torch.einsum("kvci,kvcj->kij", weighted, jacobian) / sigma**2
    gradient = torch.einsum("kvci,kvc->ki", weighted, residual) / sigma**2
    # Priors on proportions and focal length, per effective cell so that they neither vanish nor rule.
    strength = weight.sum(dim=1, keepdim=True) / 40
    focal_std = 1e-4 if evidence.focal_known else PRIOR_LOG_FOCAL
    std = torch.cat([shape.stretch_std, shape.stretch_std.new_tensor([focal_std])])
    prior = strength / std**2
    state = torch.cat([hypotheses.stretch, hypotheses.log_focal[:, None]], dim=-1)
    diagonal = torch.zeros_like(gradient)
    diagonal[:, 6:] = prior
    gradient = gradient - torch.cat([torch.zeros_like(gradient[:, :6]), prior * state], dim=-1)
    damping = 1e-3 * normal.diagonal(dim1=-2, dim2=-1).amax(dim=-1, keepdim=True) + 1e-6
    step = torch.linalg.solve(normal + torch.diag_embed(diagonal + damping), gradient)
    step = step * (0.5 / step[:, :3].norm(dim=-1, keepdim=True).clamp_min(0.5))  # at most 0.5 rad a step
    moved = replace(
        hypotheses,
        rotation=rotation_from_rotvec(step[:, :3]) @ hypotheses.rotation,
        translation=hypotheses.translation + step[:, 3:6],
        stretch=hypotheses.stretch + step[:, 6:9],
        log_focal=hypotheses.log_focal + step[:, 9],
    )
    return moved, normal[:, :6, :6]


def _jacobian(hypotheses: Hypotheses, evidence: Evidence, shape: Shape) -> Tensor:
    """Derivative of projected cells by (rotation, translation, stretch, log focal), ``(K, V, 2, 10)``."""
    _, points = project(hypotheses, shape, evidence.intrinsics)
    z = points[..., 2].clamp_min(1e-3)
    focal = torch.stack([evidence.intrinsics[0, 0], evidence.intrinsics[1, 1]])
    focal = focal * hypotheses.log_focal.exp()[:, None]
    by_point = torch.zeros(*points.shape[:2], 2, 3, dtype=points.dtype, device=points.device)
    by_point[..., 0, 0] = focal[:, None, 0] / z
    by_point[..., 1, 1] = focal[:, None, 1] / z
    by_point[..., :, 2] = -focal[:, None] * points[..., :2] / z[..., None] ** 2
    rotated = points - hypotheses.translation[:, None]
    stretched = shape.vertices * hypotheses.stretch.exp()[:, None]
    sides = hypotheses.rotation[:, None] * stretched[:, :, None, :]  # column j: R[:, j] X_j
    by_rotation = -by_point @ cross_matrix(rotated)
    by_focal = (focal[:, None] * points[..., :2] / z[..., None])[..., None]
    return torch.cat([by_rotation, by_point, by_point @ sides, by_focal], dim=-1)
