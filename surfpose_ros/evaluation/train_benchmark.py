"""`surfpose benchmark train`: how good a model is, and how long it takes, by the number of objects it saw.

Some captures are held out, others trained on; several splits put other objects to the test. A training sees
nothing of the objects that judge it: alignment is our own, of its own videos, and so is the link between
the labels' axes and the model's.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.category.model import load_category_model
from surfpose_ros.category.train_settings import PRESETS, Preset
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.judging import category_rows, judging_samples
from surfpose_ros.evaluation.label_frames import VideoLabels, read_axes
from surfpose_ros.evaluation.metrics import accuracy, bootstrap_interval, rotation_figures
from surfpose_ros.evaluation.model_evaluation import linked_frame
from surfpose_ros.evaluation.pose import Outcome, evaluate_poses
from surfpose_ros.evaluation.pose_tables import pose_figures
from surfpose_ros.evaluation.samples import PoseSample
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.files import read_json, write_json
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.progress import Progress, silent
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.video.capture import captures_by_name
from surfpose_ros.video.labels import LabelRow

TIME_VERSION = 1


@dataclass(frozen=True)
class Split:
    """Which captures are trained on, in this order, and which are held out."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """One training and what came of it.

    Attributes:
        split: its number.
        objects: captures given to it, and
        kept: how many of them alignment kept.
        seconds: of alignment, training and calibration; after a stop, of what was left to do.
        outcomes: on the test images.
    """

    split: int
    objects: int
    kept: int
    seconds: float
    outcomes: list[Outcome]


def run(
    captures: Annotated[Path, typer.Option(help="Folder of the captures of one category.")],
    category: Annotated[str, typer.Option(help="Its name.")],
    labels: Annotated[Path, typer.Option(help="Labels CSV of the captures, or a simulation's truth.json.")],
    work: Annotated[Path, typer.Option(help="For surfaces, alignments and models; kept, and used again.")],
    root: Annotated[
        Path | None, typer.Option(help="What the CSV's image names are relative to; else its folder.")
    ] = None,
    test: Annotated[int, typer.Option(min=0, help="Captures held out in each split.")] = 0,
    splits: Annotated[int, typer.Option(min=1, help="Trainings of each size, with others held out.")] = 1,
    test_labels: Annotated[
        Path | None, typer.Option(help="With --test 0: labels CSV of photos of objects of no capture.")
    ] = None,
    test_root: Annotated[Path | None, typer.Option(help="As --root, for --test-labels.")] = None,
    objects: Annotated[
        str, typer.Option(help="Captures to learn from, such as 3,5,7; all that are left if not given.")
    ] = "",
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos that replace the test images' backgrounds.")
    ] = None,
    boxes: Annotated[
        Literal["labels", "search"], typer.Option(help="Whether the model is given boxes, or searches.")
    ] = "labels",
    symmetry: Annotated[str, typer.Option(help="Turns forgiven, in the labels' frame; or model.")] = "none",
    limit: Annotated[int | None, typer.Option(min=1, help="Test images of a split.")] = None,
    preset: Annotated[Preset, typer.Option(help="Of the training.")] = "full",
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; else the preset's.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a step; else the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits, alignment and training.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Train on some objects, judge by others; all that is made stays in `work`."""
    if (test == 0) == (test_labels is None):
        raise SurfposeError("what judges the models? Either --test COUNT or --test-labels FILE")
    folders = captures_by_name([captures])
    chosen = make_splits(sorted(folders), test, splits, seed)
    sizes = _sizes(objects, len(chosen[0].train))
    if test and labels.suffix == ".json":
        raise SurfposeError(f"{labels} names no images; give photos of other objects with --test-labels")
    rows = category_rows(test_labels or labels, test_root if test_labels else root, category)
    judges = [_judges(rows, split.test if test else None, backgrounds, limit) for split in chosen]
    preset_training = PRESETS[preset]
    training = replace(
        preset_training,
        steps=steps or preset_training.steps,
        batch=batch or preset_training.batch,
        seed=seed,
    )
    settings = RetrainSettings(alignment=AlignmentSettings(seed=seed), train=training, device=device)
    videos = read_axes(captures, labels, root, progress)
    school = _School(category, folders, work, settings, videos, symmetry, boxes, progress)
    school.make_surfaces(sorted({name for split in chosen for name in split.train[: max(sizes)]}))
    done = [
        school.train(number, split.train[:size], samples)
        for number, (split, samples) in enumerate(zip(chosen, judges, strict=True), start=1)
        for size in sizes
    ]
    figures = {
        "category": category,
        "device": device,
        "steps": training.steps,
        "batch": training.batch,
        "seed": seed,
        "boxes": boxes,
        "symmetry": symmetry,
        "backgrounds": "photos" if backgrounds else "own",
        "splits": [{"train": list(split.train), "test": list(split.test)} for split in chosen],
        "objects": {str(size): _figures([t for t in done if t.objects == size]) for size in sizes},
    }
    return BenchmarkResult("train", figures, [_table(figures)])


def make_splits(names: Sequence[str], test: int, splits: int, seed: int) -> list[Split]:
    """Held-out sets one after the other from the names in a random order: disjoint while names last.

    With none held out, every split has another order.

    Raises:
        SurfposeError: fewer than two are left to learn from.
    """
    if len(names) - test < 2:
        raise SurfposeError(f"{len(names)} captures, {test} held out: two at least are needed to train on")
    found = []
    for split in range(splits):
        order = np.random.default_rng([seed, 0 if test else split]).permutation(len(names))
        turned = [names[i] for i in np.roll(order, -split * test)]
        found.append(Split(train=tuple(turned[test:]), test=tuple(turned[:test])))
    return found


def _sizes(objects: str, most: int) -> list[int]:
    if not objects:
        return [most]
    try:
        sizes = [int(part) for part in objects.split(",")]
    except ValueError:
        raise SurfposeError(
            f"--objects {objects}: write numbers with commas between, such as 3,5,7"
        ) from None
    wrong = [size for size in sizes if not 2 <= size <= most]
    if wrong:
        raise SurfposeError(f"--objects {objects}: {wrong[0]} is not from 2 to {most}, the captures left")
    return sizes


def _judges(
    rows: Sequence[LabelRow], held_out: Sequence[str] | None, backgrounds: Path | None, limit: int | None
) -> list[PoseSample]:
    """The test images: those of the captures held out, or all."""
    judges = [row for row in rows if held_out is None or row.video in held_out]
    if not judges:
        raise SurfposeError(
            f"the labels name no image of the captures held out: {', '.join(held_out or ())}"
        )
    return judging_samples(judges, backgrounds, limit)


@dataclass(frozen=True)
class _School:
    """What all trainings share; see the options of `run`."""

    category: str
    folders: Mapping[str, Path]
    work: Path
    settings: RetrainSettings
    videos: Mapping[str, VideoLabels]
    symmetry: str
    boxes: Literal["labels", "search"]
    progress: Progress

    @property
    def surfaces(self) -> Path:
        return self.work / "surfaces"

    def make_surfaces(self, names: Sequence[str]) -> None:
        """Before any training, so that no training's time has a share of it."""
        reconstruct_captures(
            [self.folders[name] for name in names],
            self.surfaces,
            self.settings.reconstruct,
            self.settings.train.backbone,
            self.settings.device,
            progress=self.progress,
        )

    def train(self, split: int, names: Sequence[str], judges: Sequence[PoseSample]) -> Trained:
        """Align and train, or take what is there; and judge."""
        here = self.work / f"split{split}_objects{len(names)}"
        captures = [self.folders[name] for name in names]
        start = time.perf_counter()
        report = retrain(
            captures, self.category, here / "model", here, self.settings, self.progress, self.surfaces
        )
        if "model" not in report.kept:
            seconds = time.perf_counter() - start
            write_json(here / "time.json", {"format_version": TIME_VERSION, "seconds": seconds})
        taken = read_json(here / "time.json", kind="time of a training", version=TIME_VERSION)["seconds"]
        model = load_category_model(here / "model", self.settings.device)
        frame, _ = linked_frame(model, self.videos, self.symmetry)
        outcomes = evaluate_poses(PoseEstimator([model]), judges, frame, self.boxes, self.progress)
        return Trained(split, len(names), len(report.trained_on), taken, outcomes)


def _figures(trainings: Sequence[Trained]) -> dict[str, Any]:
    """Of all trainings with one number of objects together, and of each."""
    outcomes = [outcome for training in trainings for outcome in training.outcomes]
    errors = [outcome.symmetric_deg for outcome in outcomes]
    groups = [outcome.sample.group for outcome in outcomes]
    interval = bootstrap_interval(errors, groups, lambda values: accuracy(values, 30.0))
    each = [
        {
            "split": training.split,
            "kept": training.kept,
            "training_seconds": training.seconds,
            **rotation_figures([outcome.symmetric_deg for outcome in training.outcomes]),
        }
        for training in trainings
    ]
    return {
        "training_seconds": float(np.mean([training.seconds for training in trainings])),
        "kept": float(np.mean([training.kept for training in trainings])),
        **pose_figures(outcomes),
        "symmetric_acc30_interval": list(interval),
        "each": each,
    }


def _table(figures: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for objects, found in figures["objects"].items():
        errors, (low, high) = found["symmetric"], found["symmetric_acc30_interval"]
        shares = [100 * errors[key] for key in ("acc30", "acc15", "acc10")]
        interval = f"{100 * low:.0f}-{100 * high:.0f}"
        row = [errors["n"], *shares, errors["median_deg"], 100 * found["flips"], interval]
        rows.append([int(objects), found["kept"], found["training_seconds"], *row])
    note = (
        f"{len(figures['splits'])} split(s), {figures['steps']} steps of {figures['batch']} images on "
        f"{figures['device']}; kept: by alignment; s: to align, train and calibrate once, surfaces made "
        f"before; boxes: {figures['boxes']}; backgrounds: {figures['backgrounds']}; "
        f"symmetry forgiven: {figures['symmetry']}"
    )
    columns = ("objects", "kept", "s", "n", "Acc30", "Acc15", "Acc10", "median", "flips", "Acc30 95%")
    title = f"{figures['category']} by the number of objects learnt from, objects never seen"
    return Table(f"{title}, accuracies in per cent, angles in degrees", columns, rows, note)
