"""DINOv2 ViT-S/14 (Oquab et al., TMLR 2024): a vision transformer whose patch tokens match objects' parts.

The network is written out here, so that its features need no package besides PyTorch; the weights come from
a safetensors file (the environment variable below) or the hub, in any of the layouts they are published in.
"""

import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.errors import MissingExtraError, SurfposeError

WEIGHTS_VARIABLE = "SURFPOSE_DINOV2_WEIGHTS"
HUB_REPOSITORY, HUB_FILE = "facebook/dinov2-small", "model.safetensors"
PATCH, WIDTH, DEPTH, HEADS, GRID = 14, 384, 12, 6, 37
# Names in transformers' layouts to ours, which are those of timm and of the authors.
_RENAMED = (
    (r"^dinov2\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.(q|k|v)(uery|ey|alue)\.", r".attention.\1_proj."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "norm."),
)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each scaled a channel and added (pre-normalised)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.ones(WIDTH)}) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` to the same."""
        batch, count, _ = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).reshape(batch, count, 3, HEADS, WIDTH // HEADS)
        mixed = scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.ls1["gamma"] * self.attn["proj"](mixed.transpose(1, 2).reshape(batch, count, WIDTH))
        hidden = nn.functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.ls2["gamma"] * self.mlp["fc2"](hidden)


class DinoV2(Backbone):
    """Patch tokens of the last layer, after its normalisation: what the paper matches vertices by."""

    name = "dinov2_vits14"
    stride = PATCH
    dimension = WIDTH
    pyramid_channels = (WIDTH, WIDTH)
    size_multiple = 16

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self._grids: dict[tuple[object, ...], Tensor] = {}  # kept: recordings of GPUs refer to them
        if pretrained:
            self.load_state_dict(read_weights(find_weights()))

    def forward(self, images: Tensor) -> Tensor:
        """See `Backbone.forward`; sizes that are no multiple of 14 are brought to the nearest."""
        cells = [max(1, round(side / PATCH)) for side in images.shape[-2:]]
        return self._tokens(images, cells[0], cells[1], (DEPTH - 1,))[0]

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """See `Backbone.pyramid`: a middle layer brought to stride 8, and the last one at stride 16.

        At 7/8 of its size an image has a patch for every 16 of its pixels.
        """
        height, width = images.shape[-2:]
        middle, last = self._tokens(images, height // 16, width // 16, (DEPTH // 2 - 1, DEPTH - 1))
        fine = interpolate(middle, scale_factor=2.0, mode="bilinear", align_corners=False)
        return [fine, last]

    def finetune_parameters(self) -> list[nn.Parameter]:
        """See `Backbone.finetune_parameters`: the last four blocks and the normalisation."""
        late = [*self.blocks[DEPTH - 4 :], self.norm]
        return [parameter for part in late for parameter in part.parameters()]

    def _tokens(self, images: Tensor, rows: int, columns: int, wanted: tuple[int, ...]) -> list[Tensor]:
        """Normalised patch tokens after the blocks `wanted`, ``(B, C, rows, columns)`` each."""
        x = self.normalised(images)
        size = (rows * PATCH, columns * PATCH)
        if x.shape[-2:] != size:
            x = interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + self._positions(rows, columns).to(x.dtype)
        levels = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in wanted:
                levels.append(self.norm(x)[:, 1:].transpose(1, 2).unflatten(2, (rows, columns)))
        return levels

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Position embeddings ``(1, 1 + rows * columns, C)``, those of training brought to the grid."""
        table = self.pos_embed
        key = rows, columns, table.data_ptr(), table.dtype, table._version
        if key not in self._grids:  # a GPU takes three times as long for it as for all blocks
            grid = table[:, 1:].transpose(1, 2).unflatten(2, (GRID, GRID)).float()
            grid = interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
            self._grids[key] = torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], dim=1).detach()
        return self._grids[key]


def find_weights() -> Path:
    """The weight file that the environment names, else the hub's, downloaded once.

    Raises:
        MissingExtraError: no file is named and huggingface_hub is not installed.
        SurfposeError: the hub cannot be reached.
    """
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named)
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        purpose = f"dinov2_vits14 without a weight file in {WEIGHTS_VARIABLE}"
        raise MissingExtraError("huggingface_hub", extra="dinov2", purpose=purpose) from None
    try:
        return Path(hf_hub_download(HUB_REPOSITORY, HUB_FILE))
    except Exception as error:  # whatever its HTTP client raises without a network
        raise SurfposeError(
            f"dinov2_vits14: {HUB_REPOSITORY} cannot be had from the hub ({type(error).__name__}); "
            f"download its {HUB_FILE} elsewhere and name the file in {WEIGHTS_VARIABLE}"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The network's state from a safetensors file in transformers', timm's or the authors' layout.

    Raises:
        SurfposeError: missing, no safetensors file, or not of a ViT-S/14.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SurfposeError(
            f"{path}: cannot be read as weights ({error}); dinov2_vits14 takes a safetensors file "
            "(pickles, .pth, are never read)"
        ) from error
    state = {_renamed(key): value.float() for key, value in found.items() if "mask_token" not in key}
    for index in range(DEPTH):
        for kind in ("weight", "bias"):
            names = [f"blocks.{index}.attention.{part}_proj.{kind}" for part in "qkv"]
            if all(name in state for name in names):
                state[f"blocks.{index}.attn.qkv.{kind}"] = torch.cat([state.pop(name) for name in names])
    with torch.device("meta"):
        expected = {key: value.shape for key, value in DinoV2(pretrained=False).state_dict().items()}
    state = {key: value for key, value in state.items() if not key.startswith(("head.", "classifier."))}
    wrong = sorted(key for key in expected.keys() | state.keys() if _shape(state, key) != expected.get(key))
    if wrong:
        raise SurfposeError(
            f"{path}: not the weights of DINOv2 ViT-S/14 without registers ({wrong[0]} is missing, unknown "
            f"or of another size); take {HUB_FILE} of {HUB_REPOSITORY}"
        )
    return state


def _renamed(key: str) -> str:
    for pattern, ours in _RENAMED:
        key = re.sub(pattern, ours, key)
    return key


def _shape(state: dict[str, Tensor], key: str) -> torch.Size | None:
    return state[key].shape if key in state else None
