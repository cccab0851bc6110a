"""Categories that are learnt together share a backbone."""

from dataclasses import replace

import pytest
import torch

from surfpose_ros.alignment.alignment import write_alignment
from surfpose_ros.category.model import load_category_model, load_category_models, save_category_model
from surfpose_ros.category.train import fit, prepare
from surfpose_ros.cli.main import main

from .eggs import TINY

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(eggs, tmp_path_factory):
    """Two categories learnt together, and a third that was learnt by itself."""
    videos, surfaces, alignment = eggs
    folder = tmp_path_factory.mktemp("models")
    lessons = {
        name: prepare(videos, surfaces, replace(alignment, category=name), TINY)
        for name in ("egg", "pebble", "alone")
    }
    models = fit([lessons["egg"], lessons["pebble"]], TINY, CPU) + fit([lessons["alone"]], TINY, CPU)
    for model in models:
        save_category_model(model, folder / model.name)
    return [folder / name for name in ("egg", "pebble", "alone")]


@pytest.fixture
def passes(monkeypatch):
    """The shapes of all images that a backbone looked at."""
    from surfpose_ros.backbones.mobilenet_v2 import MobileNetV2

    seen, pyramid = [], MobileNetV2.pyramid

    def noted(self, images):
        seen.append(tuple(images.shape))
        return pyramid(self, images)

    monkeypatch.setattr(MobileNetV2, "pyramid", noted)
    return seen


def pictures(count: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 64, 64, 3), generator=generator, dtype=torch.uint8).numpy()


def test_an_image_goes_through_the_common_backbone_once(folders, passes):
    egg, pebble, alone = load_category_models(folders)
    assert egg.network.backbone is pebble.network.backbone is not alone.network.backbone
    for model in (egg, pebble, alone):
        model.look(pictures(1))
    assert len(passes) == 2
    pebble.look(pictures(1, seed=1))
    assert len(passes) == 3


def test_what_they_say_is_what_each_says_alone(folders):
    for folder, model in zip(folders, load_category_models(folders), strict=True):
        for seed in (0, 1, 0):
            together, alone = (
                model.look(pictures(2, seed)),
                load_category_model(folder).look(pictures(2, seed)),
            )
            assert all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))


def test_both_scales_of_an_image_stay_at_hand_while_many_crops_are_looked_at(folders, passes):
    egg, pebble, _ = load_category_models(folders)
    whole, half = pictures(1), pictures(1)[:, :32, :32]
    for seed, model in enumerate([egg, pebble] * 5):
        model.look(whole)
        model.look(half)
        model.look(pictures(3, 10 + seed))
    assert passes.count((1, 3, 64, 64)) == passes.count((1, 3, 32, 32)) == 1


def test_a_category_named_like_a_way_out_of_the_folder_is_refused(eggs, tmp_path, capsys, monkeypatch):
    _, _, alignment = eggs
    command = [
        "surfpose",
        "train",
        str(tmp_path),
        "--surfaces",
        str(tmp_path),
        "--out",
        str(tmp_path / "models"),
    ]
    for number, category in enumerate(("egg", "../../egg")):
        path = tmp_path / f"{number}.json"
        write_alignment(path, replace(alignment, category=category))
        command += ["--alignment", str(path)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "leads out of the folder" in capsys.readouterr().err


def test_each_learns_its_own_features_from_the_first_step_on(folders):
    egg, pebble, _ = load_category_models(folders)
    assert not torch.equal(egg.vertex_features, pebble.vertex_features)
    heads = [dict(model.network.head.named_parameters()) for model in (egg, pebble)]
    assert not torch.equal(heads[0]["context.weight"], heads[1]["context.weight"])
