"""The network of a category: a backbone, and a light head to one unit feature a stride-8 cell.

image (B, 3, H, W)
  backbone pyramid   strides 8, 16, 32
  coarse to fine     1x1 laterals, summed upwards, with the whole image's mean added as context
  features           (B, D, H/8, W/8), unit length
  centres, sides     (B, h, w), (B, 4, h, w): whether an object's middle is here, and how far its box goes
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from surfpose_ros.backbones.interface import Backbone

PLACE_BIAS = (-3.0, 1.5, 1.5, 1.5, 1.5)  # hardly any cell is a middle, and a box is some cells wide


class NetworkOutput(NamedTuple):
    """What the network says of images.

    Attributes:
        features: unit, ``(B, D, h, w)``.
        centres: logits that the middle of an object's box is at a cell, ``(B, h, w)``.
        sides: logarithms of the distances in cells from a cell's centre to the left, top, right and bottom
            of the object's box, ``(B, 4, h, w)``.
    """

    features: Tensor
    centres: Tensor
    sides: Tensor


class Head(nn.Module):
    """From a backbone's pyramid to surface features and boxes."""

    def __init__(self, pyramid_channels: tuple[int, ...], dimension: int) -> None:
        super().__init__()
        width = 192
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in pyramid_channels)
        self.context = nn.Linear(pyramid_channels[-1], width)
        self.refine = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, dimension, 1),
        )
        last = nn.Conv2d(96, 5, 1)
        last.bias = nn.Parameter(torch.tensor(PLACE_BIAS))
        self.place = nn.Sequential(
            nn.GroupNorm(8, width), nn.Conv2d(width, 96, 3, padding=1), nn.ReLU(), last
        )

    def forward(self, pyramid: list[Tensor]) -> NetworkOutput:
        """Everything at the finest level of the pyramid."""
        context = self.context(pyramid[-1].mean(dim=(-1, -2)))
        x = self.laterals[-1](pyramid[-1]) + context[..., None, None]
        for lateral, level in zip(self.laterals[-2::-1], pyramid[-2::-1], strict=True):
            x = nn.functional.interpolate(x, size=level.shape[-2:], mode="bilinear", align_corners=False)
            x = nn.functional.relu(x) + lateral(level)
        places = self.place(x)
        features = nn.functional.normalize(self.refine(x), dim=1)
        return NetworkOutput(features, places[:, 0], places[:, 1:])


class CategoryNetwork(nn.Module):
    """Backbone and head; the backbone's late part adapts to the category, or to several together.

    Attributes:
        memory: of the backbone, where categories share it; None else.
    """

    def __init__(self, backbone: Backbone, dimension: int = 128) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = Head(backbone.pyramid_channels, dimension)
        self.memory: PyramidMemory | None = None

    def forward(self, images: Tensor) -> NetworkOutput:
        """Of RGB in [0, 1], ``(B, 3, H, W)``, everything at stride 8."""
        pyramid = self.memory(images) if self.memory else self.backbone.pyramid(images)
        output: NetworkOutput = self.head(pyramid)
        return output


class PyramidMemory:
    """What a backbone made of the last images, at hand for other categories that look at the same ones."""

    def __init__(self, backbone: Backbone, most: int = 4) -> None:
        """`most` images are remembered: both scales of a whole one, and the latest crops."""
        self.backbone = backbone
        self._most = most
        self._known: list[tuple[Tensor, list[Tensor]]] = []  # the last used is the last

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The backbone's pyramid of RGB in [0, 1], ``(B, 3, H, W)``."""
        for index, (seen, pyramid) in enumerate(self._known):
            if torch.equal(seen, images):
                self._known.append(self._known.pop(index))
                return pyramid
        pyramid = self.backbone.pyramid(images)
        self._known = [*self._known[1 - self._most :], (images, pyramid)]
        return pyramid
