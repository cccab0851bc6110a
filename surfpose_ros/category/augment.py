"""Variety for training, made on the device: other places, sizes, backgrounds, occluders, colours.

Object-centric videos show clean objects on one turntable; photos in the wild do not. Every image of a
batch is warped, pasted onto a generated or given background, partly covered, and recoloured.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from surfpose_ros.category.distractors import Distractors
from surfpose_ros.category.loss import CLUTTER
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
        occlude: chance to cover a part of the object.
        absent: chance that the object is not there at all: a background, all clutter.
        colour: strength of brightness, contrast, saturation and small hue changes; 0 is none.
        any_hue: chance that colours turn by any hue: objects of a colour that was never recorded.
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
    absent: float = 0.1
    colour: float = 1.0
    any_hue: float = 0.4


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
        photos: Tensor | None = None,
    ) -> None:
        """`photos` are backgrounds to paste beside generated ones, ``(P, 3, H, W)`` uint8."""
        self.settings, self.size, self.stride = settings, size, stride
        self.generator, self.photos = generator, photos
        things = torch.cat([distractors.images, distractors.masks], dim=1)
        self.things = things.to(generator.device)

    def __call__(self, views: TrainingViews) -> AugmentedBatch:
        """Change every view."""
        count = len(views)
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
        images = self._recolour(images)
        pasted = masks * images + (1 - masks) * self.backgrounds(count)
        near = outside.float().mean(dim=(1, 2, 3), keepdim=True) < 0.2
        keep = self._chance(self.settings.keep_background, count) & near
        images = torch.where(keep, images, pasted)
        boxes = _boxes(masks[:, 0] > 0.5) / self.stride - 0.5
        images, labels, seen = self._occlude(images, labels)
        absent = self._chance(self.settings.absent, count)
        images = torch.where(absent, self.backgrounds(count), images)
        labels = torch.where(absent[:, 0], CLUTTER, labels)
        seen = torch.where(absent.flatten(), 0.0, seen)
        images = self._degrade(self._recolour(images, share=0.5)).clamp(0, 1)
        # The transform goes the other way: from the new picture to the stored one.
        rolls = torch.atan2(
            transform[:, 0, 1] - transform[:, 1, 0], transform[:, 0, 0] + transform[:, 1, 1]
        )
        return AugmentedBatch(images, labels, boxes, seen, rolls)

    def backgrounds(self, count: int) -> Tensor:
        """Generated clutter or given photos, with other things on them, ``(count, 3, size, size)``."""
        # At half size: backgrounds need no sharper detail, and this is what augmentation costs.
        size = self.size // 2
        texture = self._noise(count, size)
        generated = texture + 0.5
        for turn in range(4):
            # Some patches are as plain as a table top.
            rough = 0.6 * self._uniform(count, 1, 1, 1) * texture.roll(size // 3 * (turn + 1), dims=-1)
            patch = rough.flip(-2) + self._uniform(count, 3, 1, 1)
            generated = torch.where(self._blob(count, size, 0.1, 1.2), patch, generated)
        if self.photos is not None:
            generated = torch.where(self._chance(0.7, count), self._photos(count, size), generated)
        for _ in range(3):
            thing, mask = self._thing(count, size, 0.15, 0.8)
            mask = mask * self._chance(self.settings.distract, count)
            generated = thing * mask + generated * (1 - mask)
        return interpolate(generated.clamp(0, 1), scale_factor=2, mode="bilinear")

    def _photos(self, count: int, size: int) -> Tensor:
        """Parts of the given photos, ``(count, 3, size, size)``."""
        assert self.photos is not None
        chosen = self.photos[self._integers(len(self.photos), count)].float() / 255
        zoom = 0.4 + 0.6 * self._uniform(count)
        centre = (2 * self._uniform(count, 2) - 1) * (1 - zoom[:, None])
        transform = torch.zeros(count, 2, 3, device=zoom.device)
        transform[:, 0, 0], transform[:, 1, 1], transform[:, :, 2] = zoom, zoom, centre
        grid = affine_grid(transform, [count, 3, size, size], align_corners=False)
        return grid_sample(chosen, grid, padding_mode="reflection", align_corners=False)

    def _thing(self, count: int, size: int, low: float, high: float) -> tuple[Tensor, Tensor]:
        """One other thing an image, ``(count, 3, size, size)``, and its mask ``(count, 1, size, size)``.

        `low` and `high` bound its size as a share of the image's side.
        """
        zoom = 1 / (low * (high / low) ** self._uniform(count))
        angle, flip = torch.pi * self._signed(count), self._signed(count).sign()
        transform = torch.empty(count, 2, 3, device=zoom.device)
        transform[:, 0, 0], transform[:, 0, 1] = flip * zoom * angle.cos(), -flip * zoom * angle.sin()
        transform[:, 1, 0], transform[:, 1, 1] = zoom * angle.sin(), zoom * angle.cos()
        transform[:, :, 2] = zoom[:, None] * self._signed(count, 2)
        grid = affine_grid(transform, [count, 4, size, size], align_corners=False)
        chosen = self.things[self._integers(len(self.things), count)].float() / 255
        drawn = grid_sample(chosen, grid, align_corners=False)
        mask = drawn[:, 3:]
        colours = self._recolour(drawn[:, :3] / mask.clamp_min(1e-3))
        return colours.clamp(0, 1), mask

    def _warps(self, count: int) -> Tensor:
        """From input coordinates to stored-view coordinates, ``(count, 2, 3)``, both in [-1, 1]."""
        setting = self.settings
        far = self._uniform(count) < setting.far
        smaller = torch.where(
            far, setting.far_scale * self._uniform(count), setting.scale * self._signed(count)
        )
        zoom = CROP_MARGIN / MARGIN * torch.exp(smaller)
        stretch = torch.exp(0.5 * setting.aspect * self._signed(count))
        roll = torch.deg2rad(setting.roll_deg * self._signed(count))
        transform = torch.empty(count, 2, 3, device=zoom.device)
        transform[:, 0, 0], transform[:, 0, 1] = zoom * stretch * roll.cos(), -zoom * roll.sin()
        transform[:, 1, 0], transform[:, 1, 1] = zoom * roll.sin(), zoom / stretch * roll.cos()
        # A far object's box, of about 2 / MARGIN in stored coordinates, stays inside the image.
        reach = torch.where(far, (zoom - 1 / MARGIN).clamp_min(0), 2 * setting.shift)
        transform[:, :, 2] = reach[:, None] * self._signed(count, 2)
        return transform

    def _occlude(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Covered images, their labels, and the share of each object that is still seen."""
        count = len(images)
        thing, mask = self._thing(count, self.size, 0.2, 0.7)
        patch = self._blob(count, self.size, 0.15, 0.55)
        as_thing = self._chance(0.5, count)
        cover = torch.where(as_thing, thing, self.backgrounds(count))
        mask = torch.where(as_thing, mask, patch.float()) * self._chance(self.settings.occlude, count)
        hidden = interpolate(mask, size=labels.shape[-2:], mode="area")[:, 0] > 0.5
        on_object = labels != CLUTTER
        left = (on_object & ~hidden).flatten(1).sum(dim=1) / on_object.flatten(1).sum(dim=1).clamp_min(1)
        return cover * mask + images * (1 - mask), torch.where(hidden, CLUTTER, labels), left

    def _recolour(self, images: Tensor, share: float = 1.0) -> Tensor:
        strength = self.settings.colour * share
        count = len(images)
        grey = images.mean(dim=1, keepdim=True)
        saturation = torch.exp(0.6 * strength * self._signed(count, 1, 1, 1))
        images = grey + saturation * (images - grey)
        images = (self._hue_rotations(count, strength) @ images.flatten(2)).unflatten(2, images.shape[2:])
        contrast = torch.exp(0.3 * strength * self._signed(count, 1, 1, 1))
        brightness = 0.15 * strength * self._signed(count, 1, 1, 1)
        tint = torch.exp(0.15 * strength * self._signed(count, 3, 1, 1))
        return ((images - 0.5) * contrast + 0.5 + brightness) * tint

    def _hue_rotations(self, count: int, strength: float) -> Tensor:
        """Rotations about the grey axis, ``(count, 3, 3)``; most small, some any."""
        chance = self.settings.any_hue * strength
        angle = torch.pi * self._signed(count) * torch.where(self._uniform(count) < chance, 1.0, 0.08)
        cosine, sine = angle.cos(), angle.sin()
        same, up, down = (
            (1 + 2 * cosine) / 3,
            (1 - cosine) / 3 + sine / 3**0.5,
            (1 - cosine) / 3 - sine / 3**0.5,
        )
        return torch.stack([same, down, up, up, same, down, down, up, same], dim=-1).unflatten(-1, (3, 3))

    def _degrade(self, images: Tensor) -> Tensor:
        """Blur, noise and loss of colour, each on some images."""
        count = len(images)
        blurred = interpolate(avg_pool2d(images, 2), size=images.shape[-2:], mode="bilinear")
        images = torch.where(self._chance(0.3, count), blurred, images)
        grey = images.mean(dim=1, keepdim=True).expand_as(images)
        images = torch.where(self._chance(0.1, count), grey, images)
        sigma = 0.05 * self._uniform(count, 1, 1, 1)
        return images + sigma * torch.randn(images.shape, generator=self.generator, device=images.device)

    def _noise(self, count: int, size: int) -> Tensor:
        """Fractal colour noise, mostly within +-0.5, ``(count, 3, size, size)``."""
        total = torch.zeros(count, 3, size, size, device=self.generator.device)
        for cells in (2, 5, 14, 45):
            octave = self._signed(count, 3, cells, cells) * self._uniform(count, 1, 1, 1)
            total += 0.5 * interpolate(octave, size=(size, size), mode="bilinear")
        return total

    def _blob(self, count: int, size: int, low: float, high: float) -> Tensor:
        """Random ellipses and rectangles, ``(count, 1, size, size)`` bool, sides as shares of the image."""
        ticks = (torch.arange(size, device=self.generator.device) + 0.5) / size
        centre = self._uniform(count, 2, 1)
        half = 0.5 * (low + (high - low) * self._uniform(count, 2, 1))
        away = ((ticks - centre) / half).abs()
        dx, dy = away[:, 0, None, :], away[:, 1, :, None]
        inside = torch.where(self._chance(0.5, count)[:, 0], dx * dx + dy * dy < 1, (dx < 1) & (dy < 1))
        return inside[:, None]

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.generator.device)

    def _signed(self, *shape: int) -> Tensor:
        return 2 * self._uniform(*shape) - 1

    def _chance(self, probability: float, count: int) -> Tensor:
        return self._uniform(count, 1, 1, 1) < probability

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator, device=self.generator.device)


def _warped(pictures: Tensor, transform: Tensor, grid: Tensor) -> Tensor:
    """``(B, C, H, W)`` uint8 sampled at `grid`, in [0, 1]; shrunk pictures from half the resolution."""
    whole = pictures.float() / 255
    sampled = grid_sample(whole, grid, padding_mode="border", align_corners=False)
    small = transform[:, :, :2].det().abs().sqrt() > 1.5
    if small.any():
        halved = grid_sample(
            avg_pool2d(whole[small], 2), grid[small], padding_mode="border", align_corners=False
        )
        sampled[small] = halved
    return sampled


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
