"""`surfpose train`: aligned surfaces to a category model."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.alignment.alignment import Alignment, read_alignment
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE
from surfpose_ros.category.distributed import joined_processes
from surfpose_ros.category.model import save_category_model
from surfpose_ros.category.train import prepare
from surfpose_ros.category.train_settings import PRESETS, Preset, TrainSettings
from surfpose_ros.category.trainer import Lesson
from surfpose_ros.cli.console import JsonOption, out, print_json, progress_bars
from surfpose_ros.cli.reconstruct import BackboneOption, MasksOption, check_sources
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import inside
from surfpose_ros.progress import Progress, track
from surfpose_ros.retrain import learn
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.capture import captures_by_name
from surfpose_ros.video.reader import read_capture

app = typer.Typer()

PresetOption = Annotated[
    Preset,
    typer.Option(help="quick: a few minutes on two cores; full: half an hour; long: best, for a GPU."),
]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Training steps; the preset's if not given.")]
SeedOption = Annotated[int, typer.Option(help="Of every random choice.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto for a GPU where there is one.")]


def train_settings(preset: Preset, steps: int | None, seed: int, device: str) -> tuple[TrainSettings, str]:
    """Settings and torch device of the options that train and retrain share."""
    settings = replace(PRESETS[preset], seed=seed)
    if steps is not None:
        settings = replace(settings, steps=steps)
    return settings, str(torch_device(device))


@app.command()
def train(
    captures: Annotated[list[Path], typer.Argument(help="Capture folders, or folders of captures.")],
    surfaces: Annotated[list[Path], typer.Option(help="Folder of their surfaces; repeat for more.")],
    alignment: Annotated[
        list[Path],
        typer.Option(help="Alignment of the surfaces (JSON); repeat for categories learnt together."),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder for the model; of several categories, for their models.")
    ],
    preset: PresetOption = "full",
    masks: MasksOption = "auto",
    backbone: BackboneOption = DEFAULT_BACKBONE,
    steps: StepsOption = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images a step of a category; the preset's if not given.")
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Learn a category model from captures, their surfaces and their alignment.

    With several alignments, one for each category, all models have one backbone, which looks at an image
    once for all of them.

    Give --masks and --backbone as the surfaces were made with.

    Over several GPUs: torchrun --nproc-per-node 2 -m surfpose_ros.cli.main train ...
    """
    check_sources("auto", masks)
    settings, chosen = train_settings(preset, steps, seed, device)
    settings = replace(settings, backbone=backbone, batch=batch or settings.batch)
    aligned = [read_alignment(path) for path in alignment]
    names = [category.category for category in aligned]
    if len(set(names)) < len(names):
        raise SurfposeError(f"alignments of one category twice: {', '.join(sorted(names))}")
    places = [out_dir] if len(names) == 1 else [inside(out_dir, name) for name in names]
    folders = captures_by_name(captures)
    with (
        joined_processes(chosen) as (share, own_device),
        progress_bars(quiet=as_json or not share.first) as progress,
    ):
        lessons = [_lesson(category, folders, surfaces, masks, settings, progress) for category in aligned]
        pace = _Pace(progress)
        models = learn(lessons, settings, own_device, pace, share=share)
    if not share.first:
        return
    for model, place in zip(models, places, strict=True):
        save_category_model(model, place)
    trained_on = {model.name: sorted(model.info.captures) for model in models}
    if as_json:
        print_json(
            {
                "models": {name: str(place) for name, place in zip(names, places, strict=True)},
                "trained_on": trained_on,
                "processes": share.ranks,
                "steps_per_second": pace.steps_per_second,
            }
        )
        return
    for model, place in zip(models, places, strict=True):
        out.print(
            f"{place}: {model.name} learnt from {len(trained_on[model.name])} captures", soft_wrap=True
        )
    if pace.steps_per_second:
        each = f"{1 / pace.steps_per_second:.3f} s a step of {settings.batch * len(models)} images"
        out.print(f"{each}, processes: {share.ranks}", soft_wrap=True)


def _lesson(
    aligned: Alignment,
    folders: Mapping[str, Path],
    surfaces: Sequence[Path],
    masks: str,
    settings: TrainSettings,
    progress: Progress,
) -> Lesson:
    """What the category of an alignment is learnt from."""
    names = sorted(aligned.canonical_from_video)
    for name in names:
        if name not in folders:
            raise SurfposeError(
                f"the alignment of {aligned.category} holds {name}, and no capture of that name was given"
            )
    loaded = {name: load_surface(_folder_of(name, surfaces), name) for name in names}
    reading = track(names, progress, "views", len(names))
    videos = (read_capture(folders[name], "none", masks) for name in reading)
    return prepare(videos, loaded, aligned, settings)


def _folder_of(name: str, surfaces: Sequence[Path]) -> Path:
    """The first of the folders that holds a surface of that name; the last if none does."""
    return next((folder for folder in surfaces if (folder / f"{name}.safetensors").exists()), surfaces[-1])


class _Pace:
    """A `Progress` that also measures the training's steps a second, from its first report to its last."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._reports: list[tuple[float, int]] = []

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Pass it on."""
        if stage == "train":
            self._reports.append((time.perf_counter(), done))
        self._progress(stage, done, total, note)

    @property
    def steps_per_second(self) -> float | None:
        """None if there were too few steps to tell."""
        if len(self._reports) < 2:
            return None
        (start, first), (end, last) = self._reports[0], self._reports[-1]
        return (last - first) / (end - start)
