"""Variety for training, made on the device: other places, sizes, backgrounds, occluders, colours.

Object-centric videos show clean objects on one turntable; photos in the wild do not. Every image of a
batch is warped, pasted onto another background, partly covered, recoloured, and sometimes cut off.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from surfpose_ros.category.backgrounds import Backgrounds
from surfpose_ros.category.covers import patched_cover, single_cover
from surfpose_ros.category.distractors import Distractors
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.draws import Draws
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.recolour import degrade, filtered, recolour, toned
from surfpose_ros.category.views import MARGIN, TrainingViews

CROP_MARGIN = 1.2  # side of the network's input over the longer side of the object's box


@dataclass(frozen=True)
class Augmentation:
    """How far each change goes; every one is drawn afresh for every image.

    Attributes:
        scale: the object's size is multiplied by ``exp(+-scale)``.
        aspect: width over height by ``exp(+-aspect)``.
        shift: of the object's centre, as a share of the input's side.
        roll_deg: rotation in the image plane.
        far: chance that the object is small and anywhere, as in a picture of the whole scene.
        far_scale: such an object is smaller by up to ``exp(far_scale)``.
        keep_background: chance to keep the frame's own background.
        distract: chance of each of three other things behind the object.
        occlude: chance to cover a part of the object with one thing.
        patches: chance that patches cover some of the object, or most of it.
        absent: chance that the object is not there at all: a background, all clutter.
        colour: strength of brightness, contrast, saturation and small hue changes; 0 is none.
        any_hue: chance that colours turn by any hue: objects of a colour that was never recorded.
        tone: chance that bright and dark are told otherwise; see `toned`. 0 draws nothing.
        filter: chance that the picture goes through a random filter: other texture, the same shape.
        cut: chance that the picture ends near the object; beyond is nothing, as past an image's edge.
    """

    scale: float = 0.15
    aspect: float = 0.25
    shift: float = 0.08
    roll_deg: float = 10.0
    far: float = 0.3
    far_scale: float = 1.4
    keep_background: float = 0.3
    distract: float = 0.5
    occlude: float = 0.4
    patches: float = 0.5
    absent: float = 0.1
    colour: float = 1.0
    any_hue: float = 0.4
    tone: float = 0.5
    filter: float = 0.5
    cut: float = 0.4


class AugmentedBatch(NamedTuple):
    """What a training step sees.

    Attributes:
        images: ``(B, 3, size, size)`` in [0, 1].
        labels: template vertex, `CLUTTER` or `IGNORED`, ``(B, size/stride, size/stride)`` int64.
        boxes: of the whole object, its covered parts too: (low x, low y, high x, high y) in cells, cell
            centres at integers, ``(B, 4)``; meaningless where nothing of it is seen.
        seen: share of the object that is not covered, ``(B,)``; 0 where it is absent.
        rolls: how far the picture was turned clockwise, radians, ``(B,)``.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor
    seen: Tensor
    rolls: Tensor


class Augmenter:
    """Draws augmented batches with its own random numbers."""

    def __init__(
        self,
        settings: Augmentation,
        size: int,
        stride: int,
        generator: torch.Generator,
        distractors: Distractors,
        share: Share | None = None,
    ) -> None:
        """The views to come are a `share` of a batch, all of it if None."""
        self.settings, self.size, self.stride = settings, size, stride
        self.draws = Draws(generator, share)
        self.backgrounds = Backgrounds(self.draws, distractors, settings.colour, settings.any_hue)

    def __call__(self, views: TrainingViews) -> AugmentedBatch:
        """Change every view."""
        count, setting, draws = len(views), self.settings, self.draws
        transform = self._warps(count)
        cells = self.size // self.stride
        fine = affine_grid(transform, [count, 1, self.size, self.size], align_corners=False)
        coarse = affine_grid(transform, [count, 1, cells, cells], align_corners=False)
        pictures = _warped(torch.cat([views.images, views.masks], dim=1), transform, fine)
        images, masks = pictures[:, :3], pictures[:, 3:]
        outside = (fine.abs() > 1).any(dim=-1)[:, None]
        masks = masks.masked_fill(outside, 0)
        labels = grid_sample(views.labels.float() - CLUTTER, coarse, mode="nearest", align_corners=False)
        labels = labels[:, 0].round().long() + CLUTTER
        images = recolour(images, draws, setting.colour, setting.any_hue)
        background = self.backgrounds(count, self.size, setting.distract)
        pasted = masks * images + (1 - masks) * background
        near = outside.float().mean(dim=(1, 2, 3), keepdim=True) < 0.2
        images = torch.where(draws.chance(setting.keep_background, count) & near, images, pasted)
        boxes = _boxes(masks[:, 0] > 0.5) / self.stride - 0.5
        images, labels, seen = self._occlude(images, labels, background.roll(1, dims=0))
        absent = draws.chance(setting.absent, count)
        images = torch.where(absent, background, images)
        labels = torch.where(absent[:, 0], CLUTTER, labels)
        seen = torch.where(absent.flatten(), 0.0, seen)
        images = recolour(images, draws, 0.5 * setting.colour, setting.any_hue)
        if setting.tone:
            images = toned(images, draws, setting.tone)
        images = degrade(images, draws)
        images = filtered(images.clamp(0, 1), draws, setting.filter)
        images, labels = self._cut(images, labels, boxes, seen)
        # The transform goes the other way: from the new picture to the stored one.
        rolls = torch.atan2(
            transform[:, 0, 1] - transform[:, 1, 0], transform[:, 0, 0] + transform[:, 1, 1]
        )
        return AugmentedBatch(images, labels, boxes, seen, rolls)

    def _warps(self, count: int) -> Tensor:
        """From input coordinates to stored-view coordinates, ``(count, 2, 3)``, both in [-1, 1]."""
        setting, draws = self.settings, self.draws
        far = draws.uniform(count) < setting.far
        smaller = torch.where(
            far, setting.far_scale * draws.uniform(count), setting.scale * draws.signed(count)
        )
        zoom = CROP_MARGIN / MARGIN * torch.exp(smaller)
        stretch = torch.exp(0.5 * setting.aspect * draws.signed(count))
        roll = torch.deg2rad(setting.roll_deg * draws.signed(count))
        transform = torch.empty(count, 2, 3, device=zoom.device)
        transform[:, 0, 0], transform[:, 0, 1] = zoom * stretch * roll.cos(), -zoom * roll.sin()
        transform[:, 1, 0], transform[:, 1, 1] = zoom * roll.sin(), zoom / stretch * roll.cos()
        # A far object's box, of about 2 / MARGIN in stored coordinates, stays inside the image.
        reach = torch.where(far, (zoom - 1 / MARGIN).clamp_min(0), 2 * setting.shift)
        transform[:, :, 2] = reach[:, None] * draws.signed(count, 2)
        return transform

    def _occlude(self, images: Tensor, labels: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Covered images, their labels, and the share of each object that is still seen.

        Things cover them, or parts of `others`, ``(B, 3, size, size)``.
        """
        single = single_cover(self.backgrounds, others, self.settings.occlude)
        patches = patched_cover(self.backgrounds, others.roll(1, dims=0), labels, self.settings.patches)
        for pictures, mask in (single, patches):
            images = pictures * mask + images * (1 - mask)
        mask = torch.maximum(single.mask, patches.mask)
        hidden = interpolate(mask, size=labels.shape[-2:], mode="area")[:, 0] > 0.5
        on_object = labels != CLUTTER
        left = (on_object & ~hidden).flatten(1).sum(dim=1) / on_object.flatten(1).sum(dim=1).clamp_min(1)
        return images, torch.where(hidden, CLUTTER, labels), left

    def _cut(self, images: Tensor, labels: Tensor, boxes: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Some images end near the object's box, on about three of four sides; mostly black beyond."""
        count, draws = len(images), self.draws
        low, high = ((boxes + 0.5) * self.stride).split(2, dim=-1)
        margins = (0.2 * draws.uniform(count, 4) - 0.04) * (high - low).amax(dim=-1, keepdim=True)
        margins = torch.where(draws.uniform(count, 4) < 0.25, self.size, margins)
        low, high = low - margins[:, :2], high + margins[:, 2:]
        ticks = torch.arange(self.size, device=images.device) + 0.5
        inside = (ticks > low[..., None]) & (ticks < high[..., None])  # (B, 2, size): x, y
        cut = draws.chance(self.settings.cut, count) & (seen > 0)[:, None, None, None]
        kept = (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None] | ~cut
        beyond = torch.where(draws.chance(0.7, count), 0.0, draws.uniform(count, 3, 1, 1))
        shown = interpolate(kept.float(), size=labels.shape[-2:], mode="area")[:, 0] > 0.5
        return torch.where(kept, images, beyond), torch.where(shown, labels, CLUTTER)


def _warped(pictures: Tensor, transform: Tensor, grid: Tensor) -> Tensor:
    """``(B, C, H, W)`` uint8 sampled at `grid`, in [0, 1]; shrunk pictures from half the resolution."""
    whole = pictures.float()
    sampled = grid_sample(whole, grid, padding_mode="border", align_corners=False)
    small = transform[:, :, :2].det().abs().sqrt() > 1.5
    if small.any():
        halved = grid_sample(
            avg_pool2d(whole[small], 2), grid[small], padding_mode="border", align_corners=False
        )
        sampled[small] = halved
    return sampled / 255


def _boxes(masks: Tensor) -> Tensor:
    """Sides (low x, low y, high x, high y) of masks ``(B, H, W)``, in pixels, edges at whole numbers."""
    sides = []
    for axis in (1, 2):
        any_here = masks.any(dim=axis)
        low = any_here.float().argmax(dim=1)
        high = any_here.shape[1] - any_here.flip(1).float().argmax(dim=1)
        sides.append((low, high))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=1).float()
