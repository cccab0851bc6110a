"""Random numbers of one generator, on its device, in the shapes that augmentation asks for."""

from typing import NamedTuple

import torch
from torch import Tensor

from surfpose_ros.category.distributed import Share


class Rows(NamedTuple):
    """Which images of a whole batch are here: from the `first` on, of `whole`."""

    whole: int
    first: int


class Draws:
    """Draws from one generator: two with the same seed draw the same.

    The first size of every shape is the number of images. Where they are a `share` of a batch, the whole
    batch's numbers are drawn, and those of the share are given.
    """

    def __init__(self, generator: torch.Generator, share: Share | None = None) -> None:
        self.generator, self.device = generator, generator.device
        self._share = share or Share()

    def whole_batch(self, count: int) -> tuple["Draws", Rows]:
        """Draws for all images of the batch of which `count` are here, and which those are."""
        return Draws(self.generator), Rows(count * self._share.ranks, count * self._share.rank)

    def uniform(self, count: int, *shape: int) -> Tensor:
        """In [0, 1)."""
        whole = count * self._share.ranks
        return self._share.of(torch.rand(whole, *shape, generator=self.generator, device=self.device))

    def signed(self, count: int, *shape: int) -> Tensor:
        """In [-1, 1)."""
        return 2 * self.uniform(count, *shape) - 1

    def normal(self, count: int, *shape: int) -> Tensor:
        """Of mean 0 and variance 1."""
        whole = count * self._share.ranks
        return self._share.of(torch.randn(whole, *shape, generator=self.generator, device=self.device))

    def chance(self, probability: float, count: int) -> Tensor:
        """True with that probability, for each of `count` images, ``(count, 1, 1, 1)``."""
        return self.uniform(count, 1, 1, 1) < probability

    def integers(self, high: int, count: int) -> Tensor:
        """From 0 to below `high`, ``(count,)``."""
        whole = (count * self._share.ranks,)
        return self._share.of(torch.randint(high, whole, generator=self.generator, device=self.device))
