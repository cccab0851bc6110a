"""DINOv2 against transformers' own forward, on random weights, in every layout that weights come in."""

import pytest
import torch
from safetensors.torch import save_file

from surfpose_ros.backbones.dinov2 import WEIGHTS_VARIABLE, DinoV2, read_weights
from surfpose_ros.backbones.registry import backbone_checksum, load_backbone
from surfpose_ros.errors import SurfposeError


@pytest.fixture(scope="module")
def random_network() -> DinoV2:
    torch.manual_seed(0)
    network = DinoV2(pretrained=False).eval().requires_grad_(False)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.fixture
def weights(random_network, tmp_path, monkeypatch):
    save_file(random_network.state_dict(), tmp_path / "timm.safetensors")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "timm.safetensors"))
    return tmp_path / "timm.safetensors"


def hub_layout(state):
    """The names of facebook/dinov2-small's model.safetensors."""
    renamed = {"embeddings.mask_token": torch.zeros(1, 384)}
    for key, value in state.items():
        key = key.replace("blocks.", "encoder.layer.").replace(
            "patch_embed.proj", "patch_embeddings.projection"
        )
        key = key.replace("attn.proj", "attention.output.dense")
        key = key.replace("ls1.gamma", "layer_scale1.lambda1").replace("ls2.gamma", "layer_scale2.lambda1")
        key = key.replace("pos_embed", "position_embeddings")
        if key.startswith("norm."):
            key = f"layernorm.{key[5:]}"
        if not key.startswith(("encoder", "layernorm")):
            key = f"embeddings.{key}"
        if "attn.qkv" in key:
            for part, chunk in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[key.replace("attn.qkv", f"attention.attention.{part}")] = chunk.contiguous()
        else:
            renamed[key] = value
    return renamed


def test_the_hubs_and_timms_layouts_give_the_same_network(random_network, weights, tmp_path):
    save_file(hub_layout(random_network.state_dict()), tmp_path / "hub.safetensors")
    hub, timm = read_weights(tmp_path / "hub.safetensors"), read_weights(weights)
    assert hub.keys() == timm.keys()
    assert all(torch.equal(hub[key], timm[key]) for key in timm)


@pytest.mark.parametrize("size", [(112, 112), (224, 112), (336, 448)])
def test_features_equal_those_of_transformers(random_network, tmp_path, size):
    transformers = pytest.importorskip(
        "transformers", reason="the reference implementation is not installed"
    )
    config = transformers.Dinov2Config(
        hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14
    )
    reference = transformers.Dinov2Model(config).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        save_file(reference.state_dict(), tmp_path / "own.safetensors")
        ours = DinoV2(pretrained=False).eval()
        ours.load_state_dict(read_weights(tmp_path / "own.safetensors"))
        images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
        expected = reference(ours.normalised(images)).last_hidden_state[:, 1:]
        found = ours(images).flatten(2).transpose(1, 2)
    assert torch.allclose(found, expected, atol=2e-4)


def test_it_is_loaded_by_name_frozen_with_a_checksum_of_its_own(random_network, weights):
    backbone = load_backbone("dinov2_vits14")
    assert backbone_checksum(backbone) == backbone_checksum(random_network)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    images = torch.rand(1, 3, 448, 224)
    assert backbone(images).shape == (1, 384, 32, 16)
    assert [tuple(level.shape) for level in backbone.pyramid(images)] == [
        (1, 384, 56, 28),
        (1, 384, 28, 14),
    ]
    assert len(backbone.finetune_parameters()) > 0


def test_weights_of_another_network_and_pickles_are_refused(random_network, tmp_path):
    state = random_network.state_dict() | {"register_tokens": torch.zeros(1, 4, 384)}
    save_file(state, tmp_path / "registers.safetensors")
    with pytest.raises(SurfposeError, match="not the weights of DINOv2 ViT-S/14"):
        read_weights(tmp_path / "registers.safetensors")
    (tmp_path / "old.pth").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(SurfposeError, match=r"takes a safetensors file \(pickles, .pth, are never read\)"):
        read_weights(tmp_path / "old.pth")
    with pytest.raises(SurfposeError, match="cannot be read as weights"):
        read_weights(tmp_path / "none.safetensors")
