"""Category models with an untrained network: to time a backbone whose weights are not at hand."""

from dataclasses import replace
from typing import Literal

import torch

from surfpose_ros.backbones.dinov2 import DinoV2
from surfpose_ros.backbones.mobilenet_v2 import MobileNetV2
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.network import CategoryNetwork

Layout = Literal["dinov2_vits14", "mobilenet_v2"]
LAYOUTS = {"dinov2_vits14": DinoV2, "mobilenet_v2": MobileNetV2}


def untrained(model: CategoryModel, layout: Layout, input_size: int) -> CategoryModel:
    """The same template under a network of random weights, which takes something in every picture for the
    object; what it tells means nothing, and takes the time of a trained one.
    """
    torch.manual_seed(0)
    network = CategoryNetwork(LAYOUTS[layout](pretrained=False), model.vertex_features.shape[1])
    last = network.head.place[-1]
    assert isinstance(last, torch.nn.Conv2d) and last.bias is not None
    last.bias.data[0] = 0.0  # an object's middle is as likely as not
    info = replace(model.info, backbone=layout, backbone_sha256="", input_size=input_size)
    return replace(model, info=info, network=network.eval().requires_grad_(False).to(model.device))
