"""What OpenVINO makes of a network, against PyTorch."""

import sys

import numpy as np
import pytest
import torch

from surfpose_ros.category.model import load_category_model, load_category_models
from surfpose_ros.category.on_cpu import compiled_on_cpu
from surfpose_ros.errors import MissingExtraError
from surfpose_ros.share import share_folder

MUG = share_folder() / "models" / "simulated_mug"


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def mug():
    pytest.importorskip("openvino", reason="no OpenVINO here")
    return load_category_model(MUG)


@pytest.mark.parametrize("shape", [(1, 224, 224), (3, 224, 224), (1, 96, 160)])
def test_a_compiled_network_says_what_pytorch_says(mug, shape):
    (compiled,) = compiled_on_cpu([mug])
    for picture in (pictures(*shape), 255 - pictures(*shape)):
        expected, told = mug.look(picture), compiled.look(picture)
        assert (expected.features * told.features).sum(dim=1).min() > 0.99
        # Half precision, where the processor has it, keeps three digits.
        assert torch.allclose(expected.centres, told.centres, atol=0.5)
        assert torch.allclose(expected.sides, told.sides, atol=0.2)


def test_what_was_told_stays_when_the_next_picture_is_looked_at(mug):
    (compiled,) = compiled_on_cpu([mug])
    first = compiled.look(pictures(1, 64, 64))
    kept = first.features.clone()
    compiled.look(255 - pictures(1, 64, 64))
    assert torch.equal(first.features, kept)


def test_categories_that_share_a_backbone_share_it_compiled(mug):
    first, second = compiled_on_cpu(load_category_models([MUG, MUG]))
    assert first.network.backbone is second.network.backbone
    assert first.network.memory is second.network.memory is not None
    alone = compiled_on_cpu([mug])[0].look(pictures(1, 64, 64))
    for model in (first, second):
        assert torch.equal(model.look(pictures(1, 64, 64)).features, alone.features)


def test_without_openvino_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[openvino\]"):
        compiled_on_cpu([load_category_model(MUG)])
