"""Random numbers of one generator, on its device, in the shapes that augmentation asks for."""

import torch
from torch import Tensor


class Draws:
    """Draws from one generator: two with the same seed draw the same."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.device = generator, generator.device

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1)."""
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def signed(self, *shape: int) -> Tensor:
        """In [-1, 1)."""
        return 2 * self.uniform(*shape) - 1

    def normal(self, *shape: int) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, count: int) -> Tensor:
        """True with that probability, for each of `count` images, ``(count, 1, 1, 1)``."""
        return self.uniform(count, 1, 1, 1) < probability

    def integers(self, high: int, count: int) -> Tensor:
        """From 0 to below `high`, ``(count,)``."""
        return torch.randint(high, (count,), generator=self.generator, device=self.device)
