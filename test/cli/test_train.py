import shutil
import sys
from dataclasses import replace
from functools import partial

import pytest

from surfpose_ros.alignment.alignment import read_alignment
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.category.model import load_category_model
from surfpose_ros.category.train_settings import PRESETS, TrainSettings
from surfpose_ros.cli.main import main
from surfpose_ros.errors import SurfposeError
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import TurntableSettings
from surfpose_ros.surface.reconstruct import ReconstructSettings

TINY = TrainSettings(steps=1, batch=4, input_size=96, vertices=100, calibration=1)
SETTINGS = RetrainSettings(
    ReconstructSettings(max_vertices=150, resolution=60, image_size=160),
    AlignmentSettings(samples=200, refine_steps=10, joint_steps=20),
    TINY,
)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A folder with captures that have masks and no background pictures, and the work of a training."""
    folder = tmp_path_factory.mktemp("learnt")
    table = TurntableSettings(width=160, height=120, elevations=(0.5,))
    makers = [partial(make_object, "mug", number) for number in range(2)]
    options = CaptureOptions(views=12, turntable=table)
    captures = simulate_captures(makers, ["mug_0", "mug_1"], folder / "captures", 0, options)
    retrain(captures, "mug", folder / "model", folder / "work", SETTINGS)
    return folder


@pytest.fixture
def train(learnt, tmp_path, monkeypatch):
    def run(*options):
        command = ["surfpose", "train", str(learnt / "captures"), "--out", str(tmp_path / "model")]
        command += ["--surfaces", str(learnt / "work/surfaces"), "--preset", "quick"]
        command += ["--alignment", str(learnt / "work/alignment.json"), *options]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setitem(PRESETS, "quick", TINY)
        main()

    return run


def test_train_takes_the_masks_that_it_is_told_of(train, capsys):
    with pytest.raises(SystemExit, match="1"):
        train("--masks", "background")
    assert "no background pictures" in capsys.readouterr().err


def test_a_network_that_is_not_there_is_named_once_before_anything_is_done(train, capsys):
    with pytest.raises(SystemExit, match="1"):
        train("--masks", "u2net.onnx")
    assert capsys.readouterr().err.count("u2net.onnx: no such network") == 1


def test_train_takes_the_backbone_that_it_is_told_of(train, tmp_path):
    with pytest.raises(SystemExit, match="0"):
        train("--backbone", "mobilenet_v2_random")
    assert load_category_model(tmp_path / "model").info.backbone == "mobilenet_v2_random"


def test_train_takes_the_batch_that_it_is_told_of_and_says_what_a_step_takes(train, capsys):
    with pytest.raises(SystemExit, match="0"):
        train("--batch", "2", "--steps", "20")
    assert "s a step of 2 images" in capsys.readouterr().out


def test_a_front_is_turned_to_once_and_stays(learnt, tmp_path):
    captures = sorted((learnt / "captures").glob("mug_*"))
    shutil.copytree(learnt / "work", tmp_path / "work")
    before = read_alignment(tmp_path / "work/alignment.json")

    def again(front: str | None) -> list[str]:
        settings = replace(SETTINGS, front=front)
        return retrain(captures, "mug", tmp_path / "model", tmp_path / "work", settings).kept

    assert again("+y") == ["surfaces", "alignment"]
    assert again("+y") == again(None) == ["surfaces", "alignment", "model"]
    after = read_alignment(tmp_path / "work/alignment.json")
    for name, pose in before.canonical_from_video.items():
        assert after.canonical_from_video[name][0] == pytest.approx(pose[1])
    assert load_category_model(tmp_path / "model").info.axes["front"] == "+y, as asked"


def test_a_front_that_is_no_axis_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(SurfposeError, match="is no axis"):
        retrain([], "mug", tmp_path / "model", tmp_path / "work", replace(SETTINGS, front="left"))
    assert not list(tmp_path.iterdir())
