"""`surfpose benchmark pose`: ways to get a rotation from one trained model, on the same images and boxes.

Image by image all ways take their turn, so that a busy machine slows all alike; the first image is shown to
each once before, unmeasured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer

from surfpose_ros.category.model import CategoryModel, load_category_model
from surfpose_ros.category.on_cpu import compiled_on_cpu
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.views import TrainingViews
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.judging import category_rows, judging_samples
from surfpose_ros.evaluation.label_frames import read_axes
from surfpose_ros.evaluation.model_evaluation import linked_frame
from surfpose_ros.evaluation.pose import (
    BoxSource,
    Estimator,
    LabelFrame,
    Outcome,
    box_source,
    evaluate_poses,
)
from surfpose_ros.evaluation.pose_tables import pose_figures
from surfpose_ros.evaluation.samples import PoseSample
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.evaluation.ways.coarse import CoarseSearch
from surfpose_ros.evaluation.ways.pnp import PnP
from surfpose_ros.evaluation.ways.regression import Regression, train_regression
from surfpose_ros.evaluation.ways.render_and_compare import RenderAndCompare
from surfpose_ros.evaluation.ways.retrieval import Retrieval
from surfpose_ros.evaluation.ways.way import as_estimator, training_views
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.video.labels import LabelRow

WAYS = {
    "ours": "ours",
    "coarse": "ours, not refined",
    "pnp": "EPnP and RANSAC",
    "retrieval": "nearest view",
    "regression": "direct regression",
    "render": "render and compare",
}
LEARNING = ("retrieval", "regression")  # ways that need the training views


@dataclass(frozen=True)
class Maker:
    """Makes ways as they are asked for.

    Only our own search asks a crop's mirror image too: no other way is made to wait for it.
    """

    model: CategoryModel
    views: TrainingViews | None
    training: TrainSettings
    reference: RenderAndCompare
    progress: Progress
    compiled: bool = False

    def make(self, name: str) -> Estimator:
        """A way by its short name."""
        if name == "ours":
            models = compiled_on_cpu([self.model]) if self.compiled else [self.model]
            return PoseEstimator(models, EstimatorSettings(compiled=self.compiled))
        makers: Mapping[str, Callable[[], Any]] = {
            "coarse": lambda: CoarseSearch(self.model),
            "pnp": lambda: PnP(without_mirror(self.model)),
            "render": lambda: self.reference,
            "retrieval": self._retrieval,
            "regression": self._regression,
        }
        return as_estimator(makers[name](), self.model.name)

    def _retrieval(self) -> Retrieval:
        assert self.views is not None
        return Retrieval(without_mirror(self.model), self.views, self.progress)

    def _regression(self) -> Regression:
        assert self.views is not None
        symmetry, size = self.model.symmetry, self.model.info.input_size
        network = train_regression(self.views, symmetry, self.training, self.model.device, self.progress)
        return Regression(network, size)


def run(
    model: Annotated[Path, typer.Option(help="Folder of the category model.")],
    labels: Annotated[Path, typer.Option(help="Labels CSV of the test images.")],
    root: Annotated[Path, typer.Option(help="Folder that its image names are relative to.")],
    captures: Annotated[
        Path | None, typer.Option(help="Captures the model learnt from; for retrieval, regression, axes.")
    ] = None,
    surfaces: Annotated[
        Path | None, typer.Option(help="Their surfaces; for retrieval and regression.")
    ] = None,
    axes_labels: Annotated[
        Path | None,
        typer.Option(help="Labels CSV or truth.json of --captures; links the model's axes to the labels'."),
    ] = None,
    axes_root: Annotated[Path | None, typer.Option(help="As --root, for --axes-labels.")] = None,
    ways: Annotated[str, typer.Option(help=f"Of {', '.join(WAYS)}; with commas.")] = ",".join(WAYS),
    videos: Annotated[
        str, typer.Option(help="Only images of these, with commas; else all the model did not learn from.")
    ] = "",
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of photos that replace the test images' backgrounds.")
    ] = None,
    symmetry: Annotated[str, typer.Option(help="Turns forgiven, in the labels' frame; or model.")] = "none",
    boxes: Annotated[
        Literal["auto", "labels", "image"],
        typer.Option(help="Boxes of the labels or their masks, or the whole image."),
    ] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, spread over all.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="To train the regression; as the model.")] = (
        TrainSettings.steps
    ),
    batch: Annotated[int, typer.Option(min=1, help="Images a step; as the model.")] = TrainSettings.batch,
    seed: Annotated[int, typer.Option(help="Of the regression's training.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    compiled: Annotated[bool, typer.Option(help="Ours as pose_node's parameter compile makes it.")] = False,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Accuracy and seconds an image of every way, boxes given."""
    chosen = [way.strip() for way in ways.split(",")]
    if not set(chosen) <= set(WAYS):
        raise SurfposeError(f"--ways {ways}: choose of {', '.join(WAYS)}")
    loaded = load_category_model(model, device)
    rows = unseen_rows(loaded, labels, root, [name for name in videos.split(",") if name])
    samples = judging_samples(rows, backgrounds, limit)
    source = box_source(samples) if boxes == "auto" else boxes
    if source == "search":
        raise SurfposeError(f"{labels}: the ways compared need boxes (x,y,w,h), or --boxes image")
    if axes_labels and not captures:
        raise SurfposeError("--axes-labels needs --captures: the captures that they label")
    linked = (
        read_axes(captures, axes_labels, axes_root or root, progress) if captures and axes_labels else {}
    )
    frame, said = linked_frame(loaded, linked, symmetry)
    views = None
    if set(chosen) & set(LEARNING):
        if captures is None or surfaces is None:
            raise SurfposeError("retrieval and regression need --captures and --surfaces of the training")
        views = training_views(loaded, captures, surfaces)
    training = TrainSettings(
        backbone=loaded.info.backbone,
        input_size=loaded.info.input_size,
        steps=steps,
        batch=batch,
        seed=seed,
    )
    reference = RenderAndCompare(without_mirror(loaded))
    maker = Maker(loaded, views, training, reference, progress, compiled)
    estimators = {name: maker.make(name) for name in chosen}
    outcomes = take_turns(estimators, samples, frame, source, progress)
    figures: dict[str, Any] = {
        "category": loaded.name,
        "device": device,
        "threads": torch.get_num_threads(),
        "compiled": compiled,
        "conditions": [*said, f"boxes: {source}", f"backgrounds: {'photos' if backgrounds else 'own'}"],
        "regression_steps": steps,
        "regression_batch": batch,
        "ways": {name: _figures(found) for name, found in outcomes.items()},
    }
    if "render" in chosen:  # the first image was the warm-up
        figures["ways"]["render"]["ray_casting_seconds"] = float(np.median(reference.rendering[1:]))
    return BenchmarkResult("pose", figures, [_table(figures)])


def without_mirror(model: CategoryModel) -> CategoryModel:
    """The model, its crops looked at once."""
    return replace(model, info=replace(model.info, mirror=None))


def unseen_rows(model: CategoryModel, labels: Path, root: Path, videos: Sequence[str]) -> list[LabelRow]:
    """The rows of the named videos; if none is named, of all that the model did not learn from.

    Raises:
        SurfposeError: nothing is left.
    """
    rows = category_rows(labels, root, model.name)
    learnt = model.info.captures
    kept = [row for row in rows if (row.video in videos if videos else row.video not in learnt)]
    if not kept:
        why = f"no image of {', '.join(videos)}" if videos else "the model learnt from all of its videos"
        raise SurfposeError(f"{labels}: {why}; name others with --videos")
    return kept


def take_turns(
    estimators: Mapping[str, Estimator],
    samples: Sequence[PoseSample],
    frame: LabelFrame,
    boxes: BoxSource,
    progress: Progress = silent,
) -> dict[str, list[Outcome]]:
    """What each estimator says of each sample, after one sample to warm up on."""
    for estimator in estimators.values():
        evaluate_poses(estimator, samples[:1], frame, boxes)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in estimators}
    for sample in track(samples, progress, "images", len(samples)):
        for name, estimator in estimators.items():
            outcomes[name] += evaluate_poses(estimator, [sample], frame, boxes)
    return outcomes


def _figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    seconds = [outcome.seconds for outcome in outcomes]
    return {**pose_figures(outcomes), "p99_seconds": float(np.quantile(seconds, 0.99))}


def _table(figures: Mapping[str, Any]) -> Table:
    found = figures["ways"]
    reference = found.get("render", {}).get("median_seconds")
    rows: list[list[Cell]] = []
    for name, way in found.items():
        errors, milliseconds = way["symmetric"], 1e3 * way["median_seconds"]
        shares = [100 * errors[key] for key in ("acc30", "acc15", "acc10")]
        faster = None if reference is None else reference / way["median_seconds"]
        flips = 100 * way["flips"]
        rows.append([WAYS[name], *shares, errors["median_deg"], flips, milliseconds, faster])
    count = next(iter(found.values()))["n"]
    note = (
        f"{count} images; ms: median, from decoded image to rotation, on {figures['device']}, threads: "
        f"{figures['threads']}; " + "; ".join(figures["conditions"])
    )
    if reference is not None:
        casting = 1e3 * found["render"]["ray_casting_seconds"]
        note += (
            f"; times: faster than render and compare, of which ray casting on the CPU is {casting:.0f} ms"
        )
    columns = ("way", "Acc30", "Acc15", "Acc10", "median", "flips", "ms", "times")
    title = f"Ways to a rotation of {figures['category']} from one model, boxes given"
    return Table(f"{title}, accuracies in per cent, angles in degrees", columns, rows, note)
