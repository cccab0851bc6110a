"""A category without videos: a boot whose vertices have random features, its network's head untrained."""

import pytest
import torch
import trimesh
from torch.nn.functional import normalize

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.category.model import CategoryInfo, CategoryModel
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import mean_template
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.pose.crop import CropSearch


def boot() -> Mesh:
    """A shape without symmetry: a sole with a shaft at its back."""
    sole = trimesh.creation.box((1.0, 0.4, 0.2))
    shaft = trimesh.creation.box(
        (0.4, 0.4, 0.6), trimesh.transformations.translation_matrix((-0.3, 0, 0.4))
    )
    return mesh_from_trimesh(trimesh.util.concatenate([sole, shaft]).convex_hull.subdivide().subdivide())


@pytest.fixture(scope="module")
def model() -> CategoryModel:
    template = mean_template([boot(), boot()], 300)
    generator = torch.Generator().manual_seed(0)
    vertex = normalize(torch.randn(len(template.mesh.vertices), 64, generator=generator), dim=-1)
    clutter = normalize(torch.randn(2, 64, generator=generator), dim=-1)
    torch.manual_seed(0)  # of the network's head, which is not trained
    network = CategoryNetwork(load_backbone(), 64).eval().requires_grad_(False)
    info = CategoryInfo("boot", "mobilenet_v2", "", 224, None, [0.02] * 3, axes={"up": "known"})
    return CategoryModel(info, template, network, vertex, clutter)


@pytest.fixture(scope="module")
def search(model) -> CropSearch:
    return CropSearch(model)
