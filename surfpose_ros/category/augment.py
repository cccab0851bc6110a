"""Variety for training, made on the device: other places, sizes, backgrounds, occluders, colours.

Object-centric videos show clean objects on one turntable; photos in the wild do not. Every image of a
batch is warped, pasted onto a generated or given background, partly covered, and recoloured.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.views import MARGIN, SIZE, TrainingViews

CROP_MARGIN = 1.2  # side of the network's input over the longer side of the object's box


@dataclass(frozen=True)
class Augmentation:
    """How far each change goes; every one is drawn afresh for every image.

    Attributes:
        scale: the object's size is multiplied by ``exp(+-scale)``.
        aspect: width over height by ``exp(+-aspect)``.
        shift: of the object's centre, as a share of the input's side.
        roll_deg: rotation in the image plane.
        keep_background: chance to keep the frame's own background.
        occlude: chance to cover a part of the object.
        absent: chance that the object is not there at all: a background, all clutter.
        colour: strength of brightness, contrast, saturation and small hue changes; 0 is none.
        any_hue: chance that colours turn by any hue: objects of a colour that was never recorded.
    """

    scale: float = 0.3
    aspect: float = 0.25
    shift: float = 0.08
    roll_deg: float = 20.0
    keep_background: float = 0.3
    occlude: float = 0.4
    absent: float = 0.1
    colour: float = 1.0
    any_hue: float = 0.4


class Augmenter:
    """Draws augmented batches with its own random numbers."""

    def __init__(
        self,
        settings: Augmentation,
        size: int,
        stride: int,
        generator: torch.Generator,
        photos: Tensor | None,
    ) -> None:
        """`photos` are backgrounds to paste beside generated ones, ``(P, 3, H, W)`` uint8."""
        self.settings, self.size, self.stride = settings, size, stride
        self.generator, self.photos = generator, photos

    def __call__(self, views: TrainingViews) -> tuple[Tensor, Tensor]:
        """Images ``(B, 3, size, size)`` in [0, 1] and labels ``(B, size/stride, size/stride)`` int64."""
        count = len(views)
        transform = self._warps(count)
        cells = self.size // self.stride
        fine = affine_grid(transform, [count, 1, self.size, self.size], align_corners=False)
        coarse = affine_grid(transform, [count, 1, cells, cells], align_corners=False)
        images = grid_sample(views.images.float() / 255, fine, padding_mode="border", align_corners=False)
        masks = grid_sample(views.masks.float() / 255, fine, align_corners=False)
        labels = grid_sample(views.labels.float() - CLUTTER, coarse, mode="nearest", align_corners=False)
        labels = labels[:, 0].round().long() + CLUTTER
        images = self._recolour(images)
        pasted = masks * images + (1 - masks) * self.backgrounds(count, images.device)
        images = torch.where(self._chance(self.settings.keep_background, count), images, pasted)
        images, labels = self._occlude(images, labels)
        absent = self._chance(self.settings.absent, count)
        images = torch.where(absent, self.backgrounds(count, images.device), images)
        labels = torch.where(absent[:, 0], CLUTTER, labels)
        return self._degrade(self._recolour(images, share=0.5)).clamp(0, 1), labels

    def backgrounds(self, count: int, device: torch.device) -> Tensor:
        """Generated clutter, or given photos, ``(count, 3, size, size)``."""
        # At half size: backgrounds need no sharper detail, and this is what augmentation costs.
        size = self.size // 2
        texture = self._noise(count, size)
        generated = texture + 0.5
        for turn in range(4):
            patch = 0.6 * texture.roll(size // 3 * (turn + 1), dims=-1).flip(-2) + self._uniform(
                count, 3, 1, 1
            )
            generated = torch.where(self._blob(count, size, 0.1, 0.6), patch, generated)
        generated = interpolate(generated, scale_factor=2, mode="bilinear")
        if self.photos is None:
            return generated.clamp(0, 1)
        chosen = self.photos[self._integers(len(self.photos), count)].float() / 255
        zoom = 0.4 + 0.6 * self._uniform(count)
        centre = (2 * self._uniform(count, 2) - 1) * (1 - zoom[:, None])
        transform = torch.zeros(count, 2, 3, device=device)
        transform[:, 0, 0], transform[:, 1, 1], transform[:, :, 2] = zoom, zoom, centre
        grid = affine_grid(transform, [count, 3, self.size, self.size], align_corners=False)
        photos = grid_sample(chosen, grid, padding_mode="reflection", align_corners=False)
        return torch.where(self._chance(0.7, count), photos, generated.clamp(0, 1))

    def _warps(self, count: int) -> Tensor:
        """From input coordinates to stored-view coordinates, ``(count, 2, 3)``, both in [-1, 1]."""
        setting = self.settings
        zoom = CROP_MARGIN / MARGIN * torch.exp(setting.scale * self._signed(count))
        stretch = torch.exp(0.5 * setting.aspect * self._signed(count))
        roll = torch.deg2rad(setting.roll_deg * self._signed(count))
        transform = torch.empty(count, 2, 3, device=zoom.device)
        transform[:, 0, 0], transform[:, 0, 1] = zoom * stretch * roll.cos(), -zoom * roll.sin()
        transform[:, 1, 0], transform[:, 1, 1] = zoom * roll.sin(), zoom / stretch * roll.cos()
        transform[:, :, 2] = 2 * setting.shift * self._signed(count, 2)
        return transform

    def _occlude(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        count = len(images)
        covered = self._blob(count, self.size, 0.15, 0.55) & self._chance(self.settings.occlude, count)
        images = torch.where(covered, self.backgrounds(count, images.device), images)
        hidden = interpolate(covered.float(), size=labels.shape[-2:], mode="area")[:, 0] > 0.5
        return images, torch.where(hidden, CLUTTER, labels)

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


def evaluation_crop(views: TrainingViews, size: int) -> Tensor:
    """The views as the live node would cut them, ``(N, 3, size, size)`` in [0, 1]."""
    side = round(SIZE * CROP_MARGIN / MARGIN)
    start = (SIZE - side) // 2
    cut = views.images[:, :, start : start + side, start : start + side].float() / 255
    return interpolate(cut, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
