"""`surfpose benchmark paper-wild`: PASCAL3D+ and ObjectNet3D in the paper's protocol and in ours.

The paper's takes the crop from ground truth, and scores the rotation of the first object of each
ImageNet validation photo. In ours nothing comes from ground truth: the model finds the object in the whole
photo, and a photo in which it does not find it counts as failed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from surfpose_ros.category.model import load_category_model
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.datasets.pascal3d import read_objectnet3d, read_pascal3d
from surfpose_ros.evaluation.model_evaluation import PoseEvaluation, label_frame
from surfpose_ros.evaluation.pose import evaluate_poses
from surfpose_ros.evaluation.pose_tables import pose_figures
from surfpose_ros.evaluation.samples import PoseSample, spread
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.progress import Progress, silent

# Categories of the paper's tables on PASCAL3D+ and ObjectNet3D, in our names.
PASCAL3D_CATEGORIES = ("bicycle", "bus", "car", "chair", "motorcycle", "couch", "tv")
OBJECTNET3D_CATEGORIES = (
    "backpack", "bench", "bicycle", "bus", "car", "cellphone", "chair", "couch", "cup",
    "hairdryer", "keyboard", "laptop", "microwave", "motorcycle", "mouse", "remote", "suitcase",
    "toaster", "toilet", "tv",
)  # fmt: skip
_COLUMNS = ("acc30", "acc15", "acc10", "median_deg")


def run(
    models: Annotated[Path, typer.Option(help="Folder with one model a category, named after it.")],
    pascal3d: Annotated[Path | None, typer.Option(help="PASCAL3D+_release1.1, unpacked.")] = None,
    objectnet3d: Annotated[Path | None, typer.Option(help="ObjectNet3D, unpacked.")] = None,
    protocol: Annotated[
        Literal["paper", "ours"],
        typer.Option(help="paper: crop from ground truth. ours: nothing from ground truth."),
    ] = "paper",
    axes_labels: Annotated[Path | None, typer.Option(help="See surfpose evaluate pose.")] = None,
    axes_captures: Annotated[Path | None, typer.Option(help="See surfpose evaluate pose.")] = None,
    axes_root: Annotated[Path | None, typer.Option(help="See surfpose evaluate pose.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Images a category, spread over all.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Rotation accuracy in the wild: each category with its own model, and their mean."""
    if pascal3d is None and objectnet3d is None:
        raise SurfposeError("name at least one data set: --pascal3d DIR or --objectnet3d DIR")
    figures: dict[str, object] = {"protocol": protocol}
    tables = []
    for name, root, categories in (
        ("PASCAL3D+", pascal3d, PASCAL3D_CATEGORIES),
        ("ObjectNet3D", objectnet3d, OBJECTNET3D_CATEGORIES),
    ):
        if root is None:
            continue
        results: dict[str, dict[str, object]] = {}
        for category in categories:
            if not (models / category).is_dir():
                continue
            request = PoseEvaluation(
                model=models / category,
                root=root,
                axes_labels=axes_labels,
                axes_captures=_own_folder(axes_captures, category),
                axes_root=axes_root,
                limit=limit,
                device=device,
            )
            samples = _samples(name, root, category)
            results[category] = _evaluate(request, spread(samples, limit), protocol, progress)
        if not results:
            raise SurfposeError(
                f"{models}: no model of any of the categories of {name}: {', '.join(categories)}"
            )
        figures[name] = {"categories": results, "mean": _mean(list(results.values()))}
        tables.append(_table(name, results, categories, protocol))
    return BenchmarkResult("paper-wild", figures, tables)


def _samples(name: str, root: Path, category: str) -> list[PoseSample]:
    if name == "PASCAL3D+":
        return read_pascal3d(root, category, "val", "imagenet", first_only=True)
    return read_objectnet3d(root, category, "test")


def _evaluate(
    request: PoseEvaluation, samples: Sequence[PoseSample], protocol: str, progress: Progress
) -> dict[str, object]:
    model = load_category_model(request.model, request.device)
    frame, said = label_frame(model, request, progress)
    boxes: Literal["labels", "search"] = "labels" if protocol == "paper" else "search"

    def named(stage: str, done: int, total: int, note: str = "") -> None:
        progress(model.name, done, total, note)

    outcomes = evaluate_poses(PoseEstimator([model]), samples, frame, boxes, named)
    return {**pose_figures(outcomes), "conditions": said}


def _own_folder(captures: Path | None, category: str) -> Path | None:
    """The category's folder of captures where they are sorted by category."""
    return captures / category if captures and (captures / category).is_dir() else captures


def _mean(results: Sequence[dict[str, object]]) -> dict[str, float]:
    return {key: float(np.mean([float(str(result[key])) for result in results])) for key in _COLUMNS}


def _table(
    name: str, results: dict[str, dict[str, object]], categories: Sequence[str], protocol: str
) -> Table:
    rows: list[list[Cell]] = [
        [category, int(str(result["n"])), *_cells(result)] for category, result in results.items()
    ]
    rows.append([f"mean of {len(results)}", None, *_cells(_mean(list(results.values())))])
    absent = [category for category in categories if category not in results]
    given = "crop from ground truth" if protocol == "paper" else "nothing from ground truth"
    note = f"Protocol {protocol}: {given}." + (f" No model of: {', '.join(absent)}." if absent else "")
    title = f"{name}, accuracies in per cent, angles in degrees"
    return Table(title, ("category", "n", "Acc30", "Acc15", "Acc10", "median"), rows, note)


def _cells(result: dict[str, float] | dict[str, object]) -> list[Cell]:
    return [float(str(result[key])) * (100 if key.startswith("acc") else 1) for key in _COLUMNS]
