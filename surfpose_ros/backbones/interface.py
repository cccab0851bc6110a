"""What every backbone offers: images in, feature maps out."""

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """An image network with ImageNet-style input.

    Attributes:
        name: as in the registry; a category model records it.
        stride: pixels a cell of the descriptor map, in each direction.
        dimension: channels of the descriptor map.
        pyramid_channels: channels of each level that `pyramid` returns.
        size_multiple: image height and width must be multiples of it.
    """

    name: str
    stride: int
    dimension: int
    pyramid_channels: tuple[int, ...]
    size_multiple: int
    _mean: Tensor
    _std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def normalised(self, images: Tensor) -> Tensor:
        """RGB in [0, 1], ``(B, 3, H, W)``, to zero mean and unit variance over ImageNet.

        Raises:
            ValueError: height or width is no multiple of `size_multiple`.
        """
        height, width = images.shape[-2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(
                f"{self.name} takes multiples of {self.size_multiple} pixels, got {width}x{height}"
            )
        return (images - self._mean) / self._std

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors of RGB images in [0, 1]: ``(B, 3, H, W)`` to ``(B, D, H/stride, W/stride)``.

        Raises:
            ValueError: height or width is no multiple of `size_multiple`.
        """
        raise NotImplementedError

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Maps from fine to coarse for a head to build upon, finest at stride 8 or 14."""
        raise NotImplementedError

    def finetune_parameters(self) -> list[nn.Parameter]:
        """The late parameters that training may adapt at a low rate; the others stay frozen."""
        raise NotImplementedError
