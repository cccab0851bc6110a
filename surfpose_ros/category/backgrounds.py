"""What stands behind and before the object in training: pieces of photos, generated clutter, other things.

Object-centric videos show one turntable. A network that never saw the texture of real places takes it for
the object, so most backgrounds are cut from a few embedded photos, at any size, in any colour.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from surfpose_ros.category.distractors import Distractors
from surfpose_ros.category.draws import Draws
from surfpose_ros.category.recolour import recolour
from surfpose_ros.video.pictures import read_picture

PHOTOS = Path(__file__).parent / "photos"
PHOTO_SHARE = 0.7  # of the backgrounds
SMALLEST_PIECE = 0.08  # of a photo's side that fills a background


@cache
def load_photos() -> Tensor:
    """The embedded photos, ``(P, 3, S, S)`` uint8 RGB."""
    pictures = [read_picture(path) for path in sorted(PHOTOS.glob("*.jpg"))]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


class Backgrounds:
    """Draws backgrounds and the things on them."""

    def __init__(self, draws: Draws, distractors: Distractors, colour: float, any_hue: float) -> None:
        """`colour` and `any_hue` as in `Augmentation`."""
        self.draws, self.colour, self.any_hue = draws, colour, any_hue
        things = torch.cat([distractors.images, distractors.masks], dim=1)
        self.things = things.to(draws.device)
        photos = load_photos().to(draws.device).float() / 255
        self._photo_count = len(photos)
        self._strip = photos.transpose(0, 1).flatten(1, 2)[None]  # one above the other, (1, 3, P * S, S)

    def __call__(self, count: int, size: int, distract: float) -> Tensor:
        """``(count, 3, size, size)`` in [0, 1]; `distract` is the chance of each of three things."""
        draws = self.draws
        # At half size: backgrounds need no sharper detail, and this is what augmentation costs.
        half = size // 2
        generated = self._generated(count, half)
        pictured = torch.where(draws.chance(PHOTO_SHARE, count), self._pictured(count, half), generated)
        for _ in range(3):
            thing, mask = self.thing(count, half, 0.15, 0.8)
            mask = mask * draws.chance(distract, count)
            pictured = thing * mask + pictured * (1 - mask)
        return interpolate(pictured.clamp(0, 1), scale_factor=2, mode="bilinear")

    def thing(self, count: int, size: int, low: float, high: float) -> tuple[Tensor, Tensor]:
        """One other thing an image, ``(count, 3, size, size)``, and its mask ``(count, 1, size, size)``.

        `low` and `high` bound its size as a share of the image's side.
        """
        draws = self.draws
        zoom = 1 / (low * (high / low) ** draws.uniform(count))
        angle, flip = torch.pi * draws.signed(count), draws.signed(count).sign()
        transform = _similarities(zoom * flip, zoom, angle, zoom[:, None] * draws.signed(count, 2))
        grid = affine_grid(transform, [count, 4, size, size], align_corners=False)
        chosen = self.things[draws.integers(len(self.things), count)].float() / 255
        drawn = grid_sample(chosen, grid, align_corners=False)
        mask = drawn[:, 3:]
        colours = recolour(drawn[:, :3] / mask.clamp_min(1e-3), draws, self.colour, self.any_hue)
        return colours.clamp(0, 1), mask

    def blob(self, count: int, size: int, low: float, high: float) -> Tensor:
        """Random ellipses and rectangles, ``(count, 1, size, size)`` bool, sides as shares of the image."""
        draws = self.draws
        ticks = (torch.arange(size, device=draws.device) + 0.5) / size
        centre = draws.uniform(count, 2, 1)
        half = 0.5 * (low + (high - low) * draws.uniform(count, 2, 1))
        away = ((ticks - centre) / half).abs()
        dx, dy = away[:, 0, None, :], away[:, 1, :, None]
        inside = torch.where(draws.chance(0.5, count)[:, 0], dx * dx + dy * dy < 1, (dx < 1) & (dy < 1))
        return inside[:, None]

    def _pictured(self, count: int, size: int) -> Tensor:
        """Pieces of photos, with pieces of others on them."""
        pictured = self._piece(count, size)
        for _ in range(3):
            here = self.blob(count, size, 0.1, 1.0) & self.draws.chance(0.5, count)
            pictured = torch.where(here, self._piece(count, size), pictured)
        return pictured

    def _piece(self, count: int, size: int) -> Tensor:
        """A part of a photo, of any size from a corner to the whole, turned a little, in other colours."""
        draws = self.draws
        zoom = SMALLEST_PIECE ** draws.uniform(count)
        stretch = torch.exp(0.3 * draws.signed(count))
        angle, flip = torch.pi / 8 * draws.signed(count), draws.signed(count).sign()
        centre = draws.signed(count, 2) * (1 - zoom[:, None])
        transform = _similarities(zoom * stretch * flip, zoom / stretch, angle, centre)
        grid = affine_grid(transform, [count, 3, size, size], align_corners=False)
        sampled = self._photographed(draws.integers(self._photo_count, count), grid)
        return recolour(sampled, draws, self.colour, self.any_hue)

    def _photographed(self, chosen: Tensor, grid: Tensor) -> Tensor:
        """Photos of the given numbers, ``(B,)``, sampled at grids ``(B, size, size, 2)``, reflected beyond
        their edges: what `grid_sample` does with a batch of photos, without copying a photo an image.
        """
        side = self._strip.shape[-1]
        within = ((grid + 1) / 2).remainder(2)  # 0 to 1 is the photo, 1 to 2 its reflection
        within = torch.minimum(within, 2 - within).clamp(0.5 / side, 1 - 0.5 / side)
        within[..., 1] = (within[..., 1] + chosen[:, None, None]) / self._photo_count
        sampled = grid_sample(self._strip, (2 * within - 1).flatten(0, 1)[None], align_corners=False)
        return sampled[0].unflatten(1, grid.shape[:2]).transpose(0, 1)

    def _generated(self, count: int, size: int) -> Tensor:
        """Fractal noise with patches on it, some as plain as a table top."""
        draws = self.draws
        texture = self._noise(count, size)
        generated = texture + 0.5
        for turn in range(4):
            rough = 0.6 * draws.uniform(count, 1, 1, 1) * texture.roll(size // 3 * (turn + 1), dims=-1)
            patch = rough.flip(-2) + draws.uniform(count, 3, 1, 1)
            generated = torch.where(self.blob(count, size, 0.1, 1.2), patch, generated)
        return generated

    def _noise(self, count: int, size: int) -> Tensor:
        """Fractal colour noise, mostly within +-0.5, ``(count, 3, size, size)``."""
        draws = self.draws
        total = torch.zeros(count, 3, size, size, device=draws.device)
        for cells in (2, 5, 14, 45):
            octave = draws.signed(count, 3, cells, cells) * draws.uniform(count, 1, 1, 1)
            total += 0.5 * interpolate(octave, size=(size, size), mode="bilinear")
        return total


def _similarities(across: Tensor, down: Tensor, angle: Tensor, centre: Tensor) -> Tensor:
    """Sampling transforms ``(B, 2, 3)``: scales ``(B,)`` along both axes, turned, about ``(B, 2)``."""
    rows = [
        torch.stack([across * angle.cos(), -across * angle.sin(), centre[:, 0]], dim=-1),
        torch.stack([down * angle.sin(), down * angle.cos(), centre[:, 1]], dim=-1),
    ]
    return torch.stack(rows, dim=1)
