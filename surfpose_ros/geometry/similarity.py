"""Similarity and rigid transforms as 4x4 matrices named ``target_from_source``."""

import torch
from torch import Tensor

from surfpose_ros.geometry.rotations import random_rotations


def compose_similarity(rotation: Tensor, translation: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """``(..., 4, 4)`` from rotations ``(..., 3, 3)``, translations ``(..., 3)``, scales ``(...)``."""
    scale = torch.as_tensor(scale, dtype=rotation.dtype, device=rotation.device)
    shape = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1], scale.shape)
    transform = torch.zeros(*shape, 4, 4, dtype=rotation.dtype, device=rotation.device)
    transform[..., :3, :3] = scale[..., None, None] * rotation
    transform[..., :3, 3] = translation
    transform[..., 3, 3] = 1.0
    return transform


def decompose_similarity(transform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations ``(..., 3, 3)``, translations ``(..., 3)`` and scales ``(...)`` of ``(..., 4, 4)``."""
    linear = transform[..., :3, :3]
    scale = _square_scale(linear).sqrt()
    return linear / scale[..., None, None], transform[..., :3, 3], scale


def invert_similarity(target_from_source: Tensor) -> Tensor:
    """``source_from_target``, ``(..., 4, 4)``."""
    linear = target_from_source[..., :3, :3]
    back = linear.transpose(-1, -2) / _square_scale(linear)[..., None, None]
    return compose_similarity(back, -(back @ target_from_source[..., :3, 3:])[..., 0])


def _square_scale(linear: Tensor) -> Tensor:
    """Square of the scale ``(...)`` of rotations times scales ``(..., 3, 3)``.

    The mean square of a row's length: a GPU takes ten times as long for determinants, and for their
    gradients longer yet.
    """
    return (linear.square().sum(dim=(-1, -2)) / 3).clamp_min(1e-20)


def transform_points(target_from_source: Tensor, points: Tensor) -> Tensor:
    """Points ``(..., N, 3)`` of the source frame in the target frame."""
    linear, translation = target_from_source[..., :3, :3], target_from_source[..., None, :3, 3]
    return points @ linear.transpose(-1, -2) + translation


def random_similarity(generator: torch.Generator, max_log_scale: float, max_shift: float) -> Tensor:
    """One ``(4, 4)`` float64 similarity: any rotation, scale within ``exp(+-max_log_scale)``, shift
    within a cube of half width ``max_shift``."""
    uniform = 2 * torch.rand(4, generator=generator, dtype=torch.float64) - 1
    rotation = random_rotations(1, generator)[0]
    return compose_similarity(rotation, max_shift * uniform[:3], (max_log_scale * uniform[3]).exp())


def similarity_from_points(
    source: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True
) -> Tensor:
    """Least-squares similarity that takes ``source`` onto ``target`` (Umeyama, PAMI 1991, eq. 40-42).

    Args:
        source: points in the source frame, ``(..., N, 3)``, N >= 3.
        target: the same points in the target frame, ``(..., N, 3)``.
        weights: non-negative weight of each pair, ``(..., N)``; equal if None.
        with_scale: False fixes the scale to one.

    Returns:
        ``target_from_source``, ``(..., 4, 4)``: rotation times scale, and translation.

    Raises:
        ValueError: fewer than three points, or shapes that do not match.

    Example:
        >>> points = torch.eye(3, dtype=torch.float64)
        >>> round(similarity_from_points(points, 2 * points)[0, 0].item(), 9)
        2.0
    """
    if source.shape[-2:] != target.shape[-2:] or source.shape[-1] != 3 or source.shape[-2] < 3:
        raise ValueError(
            f"need two equal sets of at least 3 points, got {tuple(source.shape)} and {tuple(target.shape)}"
        )
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    weights = (weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-30))[..., None]
    source_mean = (weights * source).sum(dim=-2, keepdim=True)
    target_mean = (weights * target).sum(dim=-2, keepdim=True)
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = (weights * target_centred).transpose(-1, -2) @ source_centred
    u, singular, vt = torch.linalg.svd(covariance)
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
    rotation = (u * sign[..., None, :]) @ vt
    variance = (weights * source_centred.square()).sum(dim=(-1, -2))
    scale = (singular * sign).sum(dim=-1) / variance.clamp_min(1e-30) if with_scale else 1.0
    scale = torch.as_tensor(scale, dtype=source.dtype, device=source.device)
    moved = scale[..., None] * (rotation @ source_mean.transpose(-1, -2))[..., 0]
    return compose_similarity(rotation, target_mean[..., 0, :] - moved, scale)
