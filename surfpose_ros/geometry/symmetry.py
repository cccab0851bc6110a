"""Rotational symmetry of a category: the turns after which an object looks the same."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import rotation_angle, rotation_from_rotvec

CONTINUOUS = 0
_NAMED_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True)
class Symmetry:
    """Turns about one axis of the object frame, and whether it may be put upside down.

    Attributes:
        order: 1 for none, n for turns of 360/n degrees, 0 (`CONTINUOUS`) for any turn.
        axis: unit vector in the object frame.
        reversible: True where a half turn about an axis across `axis` changes nothing either. With a
            finite order, that axis is the first of `across_axis`.
    """

    order: int = 1
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    reversible: bool = False

    def __post_init__(self) -> None:
        length = math.hypot(*self.axis)
        if not 0 <= self.order <= 360 or not math.isfinite(length) or length < 1e-6:
            raise ValueError(f"symmetry of order {self.order} about {self.axis} makes no sense")
        object.__setattr__(self, "axis", tuple(float(a) / length for a in self.axis))

    def __bool__(self) -> bool:
        return self.order != 1 or self.reversible

    def rotations(self, steps: int = 36) -> Tensor:
        """The turns, ``(K, 3, 3)`` float64, the identity first; a continuous axis in `steps` of them."""
        return _turns(self, steps).clone()

    def distance(self, target: Tensor, source: Tensor) -> Tensor:
        """Smallest angle in radians, ``(...)``, between rotations ``(..., 3, 3)`` up to the symmetry.

        The rotations are ``anything_from_object``: the symmetry acts on their right.

        Example:
            >>> half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
            >>> round(Symmetry(order=2).distance(half_turn, torch.eye(3)).item(), 6)
            0.0
        """
        if self.order != CONTINUOUS:
            turns = self.rotations().to(target)
            return rotation_angle(target[..., None, :, :] @ turns, source[..., None, :, :]).amin(dim=-1)
        axis = torch.tensor(self.axis, dtype=target.dtype, device=target.device)
        target_axis, source_axis = torch.broadcast_tensors(target @ axis, source @ axis)
        sine = torch.linalg.cross(target_axis, source_axis).norm(dim=-1)
        cosine = (target_axis * source_axis).sum(dim=-1)
        return torch.atan2(sine, cosine.abs() if self.reversible else cosine)

    def nearest(self, target: Tensor, source: Tensor) -> Tensor:
        """`target` turned by the symmetry to lie nearest to `source`, ``(..., 3, 3)``.

        A continuous axis is turned in steps of a degree.
        """
        turned = target[..., None, :, :] @ self.rotations(360).to(target)
        best = rotation_angle(turned, source[..., None, :, :]).argmin(dim=-1)
        return turned.take_along_dim(best[..., None, None, None], dim=-3)[..., 0, :, :]

    def turned(self, target_from_source: Tensor) -> "Symmetry":
        """The same symmetry for objects whose frame was turned by a ``(3, 3)`` rotation."""
        axis = target_from_source.double() @ torch.tensor(self.axis, dtype=torch.float64)
        return Symmetry(self.order, (axis[0].item(), axis[1].item(), axis[2].item()), self.reversible)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        return {"order": self.order, "axis": list(self.axis), "reversible": self.reversible}

    def __str__(self) -> str:
        if not self:
            return "none"
        turns = "any turn" if self.order == CONTINUOUS else f"{self.order}-fold"
        ends = ", either end up" if self.reversible else ""
        return f"{turns} about ({', '.join(f'{a:.3g}' for a in self.axis)}){ends}"


@cache
@torch.inference_mode(False)
def _turns(symmetry: Symmetry, steps: int) -> Tensor:
    """See `Symmetry.rotations`; a live node asks for them again with every image."""
    count = steps if symmetry.order == CONTINUOUS else symmetry.order
    axis = torch.tensor(symmetry.axis, dtype=torch.float64)
    angles = 2 * math.pi / count * torch.arange(count, dtype=torch.float64)
    turns = rotation_from_rotvec(angles[:, None] * axis)
    if not symmetry.reversible:
        return turns
    return torch.cat([turns, turns @ rotation_from_rotvec(math.pi * across_axis(axis))])


def across_axis(axis: Tensor) -> Tensor:
    """A unit vector ``(3,)`` across `axis`: x made orthogonal to it, or y where x is along it."""
    for candidate in torch.eye(3, dtype=axis.dtype)[:2]:
        across = candidate - (candidate @ axis) * axis
        if across.norm() > 0.5:
            break
    return across / across.norm()


def symmetry_from_dict(content: dict[str, Any]) -> Symmetry:
    """The inverse of `Symmetry.as_dict`.

    Raises:
        SurfposeError: fields that are missing, unknown or senseless.
    """
    try:
        x, y, z = content.get("axis", (0.0, 0.0, 1.0))
        return Symmetry(
            int(content["order"]), (float(x), float(y), float(z)), bool(content.get("reversible"))
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise SurfposeError(f"not a symmetry: {content!r} ({error})") from error


def parse_symmetry(text: str) -> Symmetry:
    """A symmetry as a person types it: ``none``, ``z:2``, ``z:inf``, with a ``!`` if either end may be up.

    Raises:
        SurfposeError: anything else.

    Example:
        >>> parse_symmetry("z:inf!")
        Symmetry(order=0, axis=(0.0, 0.0, 1.0), reversible=True)
    """
    if text == "none":
        return Symmetry()
    axis, _, order = text.removesuffix("!").partition(":")
    if axis in _NAMED_AXES and (order == "inf" or order.isdecimal()) and order != "0":
        return Symmetry(CONTINUOUS if order == "inf" else int(order), _NAMED_AXES[axis], text.endswith("!"))
    raise SurfposeError(f"symmetry {text!r}: write none, z:2 (half turn), z:4, z:inf (any turn), or x:, y:")
