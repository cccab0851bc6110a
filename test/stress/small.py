"""The smallest captures and training that go through every stage: some twenty seconds on one core."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.category.train_settings import PRESETS, TrainSettings
from surfpose_ros.cli.main import main
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import TurntableSettings
from surfpose_ros.surface.reconstruct import ReconstructSettings

TABLE = TurntableSettings(width=160, height=120, elevations=(float(np.deg2rad(30)),))
SETTINGS = RetrainSettings(
    ReconstructSettings(max_vertices=150, resolution=60, image_size=160),
    AlignmentSettings(samples=200, refine_steps=10, joint_steps=20),
    TrainSettings(steps=60, batch=4, input_size=96, vertices=100, calibration=4),
)


def small_captures(folder: Path, count: int = 2) -> list[Path]:
    """Captures of parametric mugs, twelve pictures of 160x120 each."""
    makers = [partial(make_object, "mug", number) for number in range(count)]
    names = [f"mug_{number}" for number in range(count)]
    return simulate_captures(makers, names, folder, 0, CaptureOptions(views=12, turntable=TABLE))


def small_retrain(captures: list[Path], out: Path, settings: RetrainSettings = SETTINGS) -> None:
    """Learn from them; the work folder lies beside the model, as `surfpose retrain` has it."""
    retrain(captures, "mug", out, out.with_name(out.name + ".work"), settings)


def small_model(out: Path) -> None:
    """A model that knows next to nothing, where only its being there counts."""
    train = replace(SETTINGS.train, steps=1, calibration=1)
    small_retrain(small_captures(out.with_name("captures")), out, replace(SETTINGS, train=train))


def small_command() -> None:
    """The `surfpose` command as it is, its preset "quick" made as small as here."""
    PRESETS["quick"] = SETTINGS.train
    main()


if __name__ == "__main__":
    small_command()
