"""MobileNetV2 (Sandler et al., CVPR 2018), the embedded backbone: its ImageNet weights are in the package.

Batch normalisation is folded into the convolutions, so the network has no state beside its weights and a
few blocks of it can be fine-tuned with batches of any size.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from surfpose_ros.backbones.interface import Backbone

WEIGHTS = Path(__file__).parent / "weights" / "mobilenet_v2.safetensors"
# (expansion, channels, blocks, stride of the first) of each stage: the paper's table 2.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project back; a shortcut where the shape allows."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, C', H/stride, W/stride)``."""
        wide = x if self.expand is None else nn.functional.relu6(self.expand(x), inplace=True)
        y = self.project(nn.functional.relu6(self.depthwise(wide), inplace=True))
        return x + y if self.shortcut else y


class MobileNetV2(Backbone):
    """The trunk up to stride 32.

    A descriptor joins, each at unit length, the last map of stride 16 (where) and two of stride 32 (what):
    together they match parts across objects better than any one of them.
    """

    name = "mobilenet_v2"
    stride = 16
    dimension = 576
    pyramid_channels = (32, 96, 320)
    size_multiple = 32

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        channels, blocks = 32, []
        for expansion, outputs, count, stride in STAGES:
            for index in range(count):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(channels, outputs, first, expansion))
                channels = outputs
        self.blocks = nn.ModuleList(blocks)
        if pretrained:
            self.load_state_dict(load_file(WEIGHTS))

    def forward(self, images: Tensor) -> Tensor:
        """See `Backbone.forward`."""
        fine, middle, coarse = self._levels(images, (12, 15, 16))
        parts = [fine] + [resize(level, fine.shape[-2:]) for level in (middle, coarse)]
        joined = torch.cat([nn.functional.normalize(part, dim=1) for part in parts], dim=1)
        return joined / len(parts) ** 0.5

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """See `Backbone.pyramid`: block outputs at strides 8, 16 and 32."""
        return self._levels(images, (5, 12, 16))

    def _levels(self, images: Tensor, wanted: tuple[int, ...]) -> list[Tensor]:
        x = nn.functional.relu6(self.stem(self.normalised(images)), inplace=True)
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in wanted:
                levels.append(x)
        return levels

    def finetune_parameters(self) -> list[nn.Parameter]:
        """See `Backbone.finetune_parameters`: the blocks from stride 16 on."""
        return [parameter for block in self.blocks[6:] for parameter in block.parameters()]


class RandomMobileNetV2(MobileNetV2):
    """The same network with random weights (He et al., ICCV 2015): a control that tells what was learnt.

    Figures that it reaches too are owed to shape, colour and layout, and not to ImageNet.
    """

    name = "mobilenet_v2_random"

    def __init__(self) -> None:
        super().__init__(pretrained=False)
        generator = torch.Generator().manual_seed(0)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)


def resize(maps: Tensor, size: torch.Size) -> Tensor:
    """Maps ``(B, C, H, W)`` at another height and width, bilinearly."""
    return nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def fold_batch_norm(weight: Tensor, norm: dict[str, Tensor], eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals a convolution without bias and its batch norm."""
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
    return weight * scale[:, None, None, None], norm["bias"] - norm["running_mean"] * scale
