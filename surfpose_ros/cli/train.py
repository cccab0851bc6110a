"""`surfpose train`: aligned surfaces to a category model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from surfpose_ros.alignment.alignment import read_alignment
from surfpose_ros.category.model import save_category_model
from surfpose_ros.category.train import PRESETS, TrainSettings
from surfpose_ros.cli.console import JsonOption, out, print_json, progress_bars
from surfpose_ros.errors import SurfposeError
from surfpose_ros.retrain import learn
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.capture import find_captures
from surfpose_ros.video.reader import read_capture

app = typer.Typer()

PresetOption = Annotated[
    Literal["quick", "full"],
    typer.Option(help="quick: a few minutes on two cores; full: best accuracy, made for a GPU."),
]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Training steps; the preset's if not given.")]
SeedOption = Annotated[int, typer.Option(help="Of every random choice.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto for a GPU where there is one.")]


def train_settings(preset: str, steps: int | None, seed: int, device: str) -> tuple[TrainSettings, str]:
    """Settings and torch device of the options that train and retrain share."""
    settings = replace(PRESETS[preset], seed=seed)
    if steps is not None:
        settings = replace(settings, steps=steps)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return settings, device


@app.command()
def train(
    captures: Annotated[list[Path], typer.Argument(help="Capture folders, or folders of captures.")],
    surfaces: Annotated[Path, typer.Option(help="Folder of their surfaces.")],
    alignment: Annotated[Path, typer.Option(help="Alignment of the surfaces (JSON).")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the category model.")],
    preset: PresetOption = "full",
    steps: StepsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Learn a category model from captures, their surfaces and their alignment."""
    settings, chosen = train_settings(preset, steps, seed, device)
    aligned = read_alignment(alignment)
    names = sorted(aligned.canonical_from_video)
    folders = {folder.resolve().name: folder for folder in find_captures(captures)}
    for name in names:
        if name not in folders:
            raise SurfposeError(f"{alignment} holds {name}, and no capture of that name was given")
    loaded = {name: load_surface(surfaces, name) for name in names}
    videos = (read_capture(folders[name], poses="none") for name in names)
    with progress_bars(quiet=as_json) as progress:
        model = learn(videos, loaded, aligned, settings, torch.device(chosen), progress)
    save_category_model(model, out_dir)
    if as_json:
        print_json({"model": str(out_dir), "category": model.name, "trained_on": names})
    else:
        out.print(f"{out_dir}: {model.name} learnt from {len(names)} captures", soft_wrap=True)
