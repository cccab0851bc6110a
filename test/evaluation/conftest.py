from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from surfpose_ros.backbones.registry import backbone_checksum, load_backbone
from surfpose_ros.category.model import CategoryInfo, CategoryModel, save_category_model
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import Template
from surfpose_ros.geometry.meshes import mesh_from_trimesh


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory) -> Path:
    """A whole category model of cars that has learnt nothing: wrong answers from sound files."""
    torch.manual_seed(0)
    backbone = load_backbone("mobilenet_v2", "cpu")
    box = trimesh.creation.box((0.85, 0.4, 0.33)).subdivide().subdivide().subdivide()
    template = Template(mesh_from_trimesh(box), np.full(3, 0.05))
    captures = {name: np.eye(4).tolist() for name in ("car01", "car02")}
    info = CategoryInfo(
        "car", "mobilenet_v2", backbone_checksum(backbone), 128, None, [0.05] * 3, captures=captures
    )

    def unit(count: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(count, 32), dim=-1)

    network = CategoryNetwork(backbone, 32)
    model = CategoryModel(info, template, network, unit(len(box.vertices)), unit(4))
    folder = tmp_path_factory.mktemp("models") / "car"
    save_category_model(model, folder)
    return folder
