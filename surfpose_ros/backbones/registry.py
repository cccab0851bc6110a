"""Backbones by name, and the checksum by which a model recognises the weights it was trained with."""

import hashlib

import torch

from surfpose_ros.backbones.dinov2 import DinoV2
from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.mobilenet_v2 import MobileNetV2, RandomMobileNetV2
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError

BACKBONES: dict[str, type[Backbone]] = {
    "dinov2_vits14": DinoV2,
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v2_random": RandomMobileNetV2,
}
DEFAULT_BACKBONE = "mobilenet_v2"


def load_backbone(name: str = DEFAULT_BACKBONE, device: torch.device | str = "cpu") -> Backbone:
    """The backbone with its weights, frozen and in evaluation mode.

    Raises:
        SurfposeError: no backbone of that name, its weights cannot be had, or no such device.
    """
    if name not in BACKBONES:
        raise SurfposeError(f"no backbone is called {name!r}; there are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]().eval().requires_grad_(False).to(torch_device(device))


def backbone_checksum(backbone: Backbone) -> str:
    """SHA-256 over names and values of all weights, on whatever device they are."""
    digest = hashlib.sha256()
    for key, value in sorted(backbone.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()
