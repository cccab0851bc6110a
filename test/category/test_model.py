import threading
from dataclasses import replace

import pytest
import torch
import yaml

from surfpose_ros.category.model import CategoryModel, load_category_model, save_category_model
from surfpose_ros.category.train import train_category
from surfpose_ros.errors import SurfposeError

from .eggs import TINY

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(eggs) -> CategoryModel:
    videos, surfaces, alignment = eggs
    return train_category(videos, surfaces, alignment, TINY, CPU)[0]


@pytest.fixture
def folder(model, tmp_path):
    save_category_model(model, tmp_path / "egg")
    return tmp_path / "egg"


def test_a_saved_model_answers_as_before(model, folder):
    loaded = load_category_model(folder)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = model.network(images), loaded.network(images)
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    assert torch.equal(model.vertex_features, loaded.vertex_features)
    assert loaded.info == model.info
    assert loaded.size_m == pytest.approx(1.18, abs=0.02)


def test_a_model_saved_in_half_precision_takes_half_the_room_and_answers_nearly_as_before(
    model, folder, tmp_path
):
    save_category_model(model, tmp_path / "half", torch.float16)
    sizes = [(path / "model.safetensors").stat().st_size for path in (tmp_path / "half", folder)]
    assert sizes[0] < 0.51 * sizes[1]
    loaded = load_category_model(tmp_path / "half")
    assert loaded.vertex_features.dtype == torch.float32
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(loaded.network(images).features, model.network(images).features, atol=0.02)


def test_one_seed_gives_one_model(eggs, model):
    videos, surfaces, alignment = eggs
    again, _ = train_category(videos, surfaces, alignment, TINY, CPU)
    other, _ = train_category(videos, surfaces, alignment, replace(TINY, seed=1), CPU)
    assert torch.equal(model.vertex_features, again.vertex_features)
    assert not torch.equal(model.vertex_features, other.vertex_features)


def test_saving_over_an_older_model_replaces_it_whole(model, folder):
    (folder / "left_over.txt").write_text("old")
    save_category_model(model, folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "category.yaml",
        "model.safetensors",
        "template.ply",
    ]
    assert [p.name for p in folder.parent.iterdir()] == ["egg"]


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(SurfposeError, match="no such model folder"):
        load_category_model(tmp_path / "nothing")
    with pytest.raises(SurfposeError, match=r"category\.yaml"):
        load_category_model(tmp_path)


def test_a_model_cut_short_is_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(SurfposeError, match="damaged"):
        load_category_model(folder)


def change_card(folder, **changes) -> None:
    card = folder / "category.yaml"
    card.write_text(yaml.safe_dump(yaml.safe_load(card.read_text()) | changes))


def test_a_model_from_a_newer_version_is_refused(folder):
    change_card(folder, format_version=99)
    with pytest.raises(SurfposeError, match="format version 99"):
        load_category_model(folder)


def test_a_model_of_other_backbone_weights_is_refused(folder):
    change_card(folder, backbone_sha256="0" * 64)
    with pytest.raises(SurfposeError, match="other weights"):
        load_category_model(folder)


def test_a_model_of_an_unknown_backbone_is_refused(folder):
    change_card(folder, backbone="resnet9000")
    with pytest.raises(SurfposeError, match="resnet9000"):
        load_category_model(folder)


def test_a_card_with_unknown_fields_is_refused(folder):
    change_card(folder, surprise=1)
    with pytest.raises(SurfposeError, match="not understood"):
        load_category_model(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"extent_log_std": [0.1, 0.1]},
        {"extent_log_std": [0.1, 0.1, float("nan")]},
        {"calibration": {"offset": 0.0}},
        {"input_size": 10**9},
        {"input_size": "224"},
        {"size_m": {"mean": 0.0, "std": 0.1}},
        {"size_m": [0.1]},
        {"symmetry": {"order": 10**9}},
        {"mirror": [0.0, 1.0]},
        {"mirror": [0.0, 2.0, 0.0]},
    ],
)
def test_a_card_with_senseless_numbers_is_refused(folder, change):
    change_card(folder, **change)
    with pytest.raises(SurfposeError, match=r"category\.yaml|symmetry"):
        load_category_model(folder)


def test_a_model_with_one_flipped_bit_is_refused(folder):
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(SurfposeError, match="damaged"):
        load_category_model(folder)


def test_a_model_that_is_replaced_while_it_is_read_is_one_or_the_other(model, tmp_path):
    others = [
        replace(model, info=replace(model.info, name=name), vertex_features=model.vertex_features * sign)
        for name, sign in (("one", 1), ("other", -1))
    ]
    save_category_model(others[0], tmp_path / "egg")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for other in reversed(others):
                save_category_model(other, tmp_path / "egg")
                ended.wait(0.2)

    writer = threading.Thread(target=swap)
    writer.start()
    try:
        for _ in range(10):
            loaded = load_category_model(tmp_path / "egg")
            (whole,) = [other for other in others if other.name == loaded.name]
            assert torch.equal(loaded.vertex_features, whole.vertex_features)
    finally:
        ended.set()
        writer.join()
