"""Changes of colour and texture for training: what a camera, its light and other paint would have made."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from surfpose_ros.category.draws import Draws

FILTERS = (1, 3, 5, 7)  # sides of the random filters, in pixels


def recolour(images: Tensor, draws: Draws, strength: float, any_hue: float) -> Tensor:
    """Other brightness, contrast, saturation, tint and hue for each of ``(B, 3, H, W)`` in [0, 1].

    `strength` scales all changes; `any_hue` is the chance that colours turn by any hue.
    """
    count = len(images)
    saturation = torch.exp(0.6 * strength * draws.signed(count, 1, 1))
    hue = _hue_rotations(draws, count, any_hue * strength)
    contrast = torch.exp(0.3 * strength * draws.signed(count, 1, 1))
    brightness = 0.15 * strength * draws.signed(count, 1, 1)
    tint = torch.exp(0.15 * strength * draws.signed(count, 3, 1))
    # All of them are linear, and one product takes a fraction of the time of one after the other.
    grey = torch.full_like(hue, 1 / 3)
    colourful = grey + saturation * (torch.eye(3, device=hue.device) - grey)
    matrix = tint * contrast * hue @ colourful
    offset = tint * (0.5 - 0.5 * contrast + brightness)
    return torch.baddbmm(offset, matrix, images.flatten(2)).view_as(images)


def _hue_rotations(draws: Draws, count: int, any_hue: float) -> Tensor:
    """Rotations about the grey axis, ``(count, 3, 3)``; most small, some any."""
    angle = torch.pi * draws.signed(count) * torch.where(draws.uniform(count) < any_hue, 1.0, 0.08)
    cosine, sine = angle.cos(), angle.sin()
    same, up, down = (
        (1 + 2 * cosine) / 3,
        (1 - cosine) / 3 + sine / 3**0.5,
        (1 - cosine) / 3 - sine / 3**0.5,
    )
    return torch.stack([same, down, up, up, same, down, down, up, same], dim=-1).unflatten(-1, (3, 3))


def toned(images: Tensor, draws: Draws, chance: float) -> Tensor:
    """Bright and dark told otherwise, as by another material or light, ``(B, 3, H, W)`` in [0, 1].

    With that chance brightness follows another gamma; less often what is bright turns dark (solarised, as
    the paper does), or all does.
    """
    count, images = len(images), images.clamp(0, 1)
    gamma = torch.exp(0.7 * draws.signed(count, 1, 1, 1))
    images = images ** gamma.where(draws.chance(chance, count), torch.ones_like(gamma))
    bright = images > 0.4 + 0.6 * draws.uniform(count, 1, 1, 1)
    turned = bright & draws.chance(0.4 * chance, count) | draws.chance(0.2 * chance, count)
    return torch.where(turned, 1 - images, images)


def degrade(images: Tensor, draws: Draws) -> Tensor:
    """Blur, noise and loss of colour, each on some images."""
    count = len(images)
    blurred = interpolate(avg_pool2d(images, 2), size=images.shape[-2:], mode="bilinear")
    images = torch.where(draws.chance(0.3, count), blurred, images)
    grey = images.mean(dim=1, keepdim=True).expand_as(images)
    images = torch.where(draws.chance(0.1, count), grey, images)
    sigma = 0.05 * draws.uniform(count, 1, 1, 1)
    return images + sigma * draws.normal(*images.shape)


def filtered(images: Tensor, draws: Draws, chance: float) -> Tensor:
    """Some images mixed with themselves through a random filter: other texture, the same shape.

    Random convolution (Xu et al., ICLR 2021, "Robust and generalizable visual representation learning via
    random convolutions"): weights of variance one over their number, a mixing share from 0 to 1.
    """
    # How many are chosen is the whole batch's affair, of which these may be a share.
    whole, rows = draws.whole_batch(len(images))
    chosen = torch.nonzero(whole.uniform(rows.whole) < chance)[:, 0]
    images = images.clone()
    for side, index in zip(FILTERS, chosen.tensor_split(len(FILTERS)), strict=True):
        weights = whole.normal(3 * len(index), 3, side, side) / (3 * side * side) ** 0.5
        share = whole.uniform(len(index), 1, 1, 1)
        here = (index >= rows.first) & (index < rows.first + len(images))
        index, share = index[here] - rows.first, share[here]
        if not len(index):
            continue
        weights = weights.unflatten(0, (-1, 3))[here].flatten(0, 1)
        picture = images[index] - 0.5
        through = conv2d(picture.flatten(0, 1)[None], weights, padding=side // 2, groups=len(index))
        mixed = share * picture + (1 - share) * through.view_as(picture)
        images[index] = (mixed + 0.5).clamp(0, 1)
    return images
