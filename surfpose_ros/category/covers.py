"""What hides parts of the object in training: one other thing before it, or patches all over it.

A network that rarely sees an object mostly hidden names the parts beside a cover wrongly, even of the
objects that it learnt.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from surfpose_ros.category.backgrounds import Backgrounds
from surfpose_ros.category.loss import CLUTTER

PATCHES = 10  # at most; as many as not
PATCH_SIDES = (0.12, 0.5)  # shares of the object's box
PLAIN = 0.2  # chance that patches are of one colour


class Cover(NamedTuple):
    """Pictures ``(B, 3, size, size)``, and how much of each pixel they hide, ``(B, 1, size, size)``."""

    pictures: Tensor
    mask: Tensor


def single_cover(backgrounds: Backgrounds, others: Tensor, chance: float) -> Cover:
    """Some thing, or one piece of `others`, ``(B, 3, size, size)``, anywhere in the picture."""
    count, size, draws = len(others), others.shape[-1], backgrounds.draws
    thing, mask = backgrounds.thing(count, size, 0.2, 0.7)
    patch = backgrounds.blob(count, size, 0.15, 0.55)
    as_thing = draws.chance(0.5, count)
    mask = torch.where(as_thing, mask, patch.float()) * draws.chance(chance, count)
    return Cover(torch.where(as_thing, thing, others), mask)


def patched_cover(backgrounds: Backgrounds, others: Tensor, labels: Tensor, chance: float) -> Cover:
    """Rectangles and ellipses over the object's box, of `others` or of one colour: from a little of the
    object to nearly all of it.

    Args:
        labels: of the cells, `CLUTTER` beside the object, ``(B, h, w)``.
    """
    count, size, draws = len(others), others.shape[-1], backgrounds.draws
    low, high = _extent(labels != CLUTTER)
    side = (high - low)[:, None]
    least, most = PATCH_SIDES
    half = 0.5 * side * (least + (most - least) * draws.uniform(count, PATCHES, 2))
    centre = low[:, None] + side * draws.uniform(count, PATCHES, 2)
    ticks = (torch.arange(size, device=others.device) + 0.5) / size
    away = ((ticks - centre[..., None]) / half[..., None].clamp_min(1e-6)).abs()  # (B, PATCHES, 2, size)
    across, down = away[:, :, 0, None, :], away[:, :, 1, :, None]
    inside = torch.where(
        draws.uniform(count, PATCHES, 1, 1) < 0.7,
        (across < 1) & (down < 1),
        across**2 + down**2 < 1,
    )
    number = (PATCHES * draws.uniform(count, 1)).ceil()
    inside &= (torch.arange(PATCHES, device=others.device) < number)[..., None, None]
    mask = inside.any(dim=1, keepdim=True) & draws.chance(chance, count)
    plain = draws.uniform(count, 3, 1, 1).expand_as(others)
    return Cover(torch.where(draws.chance(PLAIN, count), plain, others), mask.float())


def _extent(shown: Tensor) -> tuple[Tensor, Tensor]:
    """Low and high corner (x, y), ``(B, 2)``, of what is true in ``(B, h, w)``, shares of the picture."""
    along = torch.stack([shown.any(dim=1), shown.any(dim=2)], dim=1).float()  # (B, 2, cells): x, y
    cells = along.shape[-1]
    return along.argmax(dim=-1) / cells, 1 - along.flip(-1).argmax(dim=-1) / cells
