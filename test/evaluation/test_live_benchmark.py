"""The live benchmark measures each stage of each way; its model has random weights, its times are real."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
from torch.nn.functional import normalize

from surfpose_ros.backbones.registry import backbone_checksum, load_backbone
from surfpose_ros.category.model import CategoryInfo, CategoryModel, save_category_model
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import mean_template
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.live_benchmark import STAGES, SUMS, run
from surfpose_ros.geometry.meshes import mesh_from_trimesh


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Takes something for an object in every picture."""
    torch.manual_seed(0)
    backbone = load_backbone()
    block = mesh_from_trimesh(trimesh.creation.box((1.0, 0.6, 0.4)).subdivide().subdivide())
    template = mean_template([block, block], 80)
    network = CategoryNetwork(backbone, 32).eval()
    network.head.place[-1].bias.data[0] = 0.0
    info = CategoryInfo("block", backbone.name, backbone_checksum(backbone), 64, None, [0.05] * 3)
    vertices = normalize(torch.randn(len(template.mesh.vertices), 32), dim=1)
    clutter = normalize(torch.randn(1, 32), dim=1)
    folder = tmp_path_factory.mktemp("models") / "block"
    save_category_model(CategoryModel(info, template, network, vertices, clutter), folder)
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
        cv2.imwrite(str(tmp_path / f"{index}_mask.png"), np.full((60, 80), 255, np.uint8))
    return tmp_path


def test_every_stage_of_every_way_has_a_median_and_a_99th_percentile(model, pictures):
    result = run([model], images=pictures, rounds=2, boxes=3)
    times = result.figures["milliseconds"]
    assert list(times) == ["whole image", "followed", "box given", "3 boxes given", "backbone alone"]
    for way in times:
        assert tuple(times[way]) == (*STAGES, *SUMS)
        assert all(0 <= stage["median"] <= stage["p99"] for stage in times[way].values())
        assert times[way]["all"]["median"] >= times[way]["pose"]["median"]
        assert times[way]["all"]["median"] >= times[way]["all but upload"]["median"]
    assert times["whole image"]["localise"]["median"] > times["followed"]["localise"]["median"]
    assert len(result.tables[0].rows) == len(times)


def test_a_backbone_is_timed_without_its_weights(model, pictures):
    result = run([model], images=pictures, limit=1, layout="dinov2_vits14", input_size=112)
    assert (result.figures["backbone"], result.figures["untrained"]) == ("dinov2_vits14", True)
    assert result.figures["milliseconds"]["box given"]["network"]["median"] > 0


def test_masks_are_no_pictures_and_the_limit_holds(model, pictures):
    assert run([model], images=pictures).figures["pictures"] == 3
    assert run([model], images=pictures, limit=2).figures["pictures"] == 2


def test_a_folder_without_pictures_is_refused(model, tmp_path):
    with pytest.raises(SurfposeError, match="no pictures"):
        run([model], images=tmp_path)
