"""Descent on D: small similarities put in front of the transforms, moved along the gradient by Adam."""

from collections.abc import Callable

import torch
from torch import Tensor

from surfpose_ros.geometry.rotations import rotation_from_quaternion
from surfpose_ros.geometry.similarity import compose_similarity


def increments(parameters: Tensor) -> Tensor:
    """Similarities ``(..., 4, 4)`` of ``(..., 7)``: rotation, translation, logarithm of the scale.

    The rotation is that of the quaternion (1, r / 2): a rotation vector where it is small, and cheap.
    """
    quaternion = torch.nn.functional.pad(parameters[..., :3] / 2, (1, 0), value=1.0)
    rotation = rotation_from_quaternion(quaternion)
    return compose_similarity(rotation, parameters[..., 3:6], parameters[..., 6].exp())


def descend(
    transforms: Tensor, objective: Callable[[Tensor], Tensor], steps: int, rate: float = 0.03
) -> Tensor:
    """Transforms near the given ones that lower an objective.

    The learning rate falls to a hundredth by half a cosine. A transform is not taken along where its
    objective rose.

    Args:
        transforms: ``(..., 4, 4)``; lengths are about one.
        objective: of transforms like `transforms`; one value each, ``(...)``, or one for all, ``()``.
        steps: of Adam.
        rate: first learning rate, radians and lengths.

    Returns:
        ``(..., 4, 4)``, detached.
    """
    if steps == 0:
        return transforms
    with torch.enable_grad():
        parameters = torch.zeros(
            *transforms.shape[:-2], 7, dtype=transforms.dtype, device=transforms.device
        )
        parameters.requires_grad_()
        optimiser = torch.optim.Adam([parameters], lr=rate, betas=(0.8, 0.9))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=rate / 100)
        for _ in range(steps):
            optimiser.zero_grad()
            objective(increments(parameters) @ transforms).sum().backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        moved = increments(parameters) @ transforms
        better = objective(moved) < objective(transforms)
        return torch.where(better[..., None, None], moved, transforms)
