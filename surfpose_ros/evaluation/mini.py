"""`surfpose benchmark mini`: learn the mini benchmark's categories, and judge every stage by the truth."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from surfpose_ros.alignment.alignment import read_alignment
from surfpose_ros.category.model import load_category_model
from surfpose_ros.category.train_settings import PRESETS
from surfpose_ros.evaluation.alignment import alignment_figures, score_alignment
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.label_frames import fit_canonical_from_label, true_video_labels
from surfpose_ros.evaluation.make_mini import read_description
from surfpose_ros.evaluation.metrics import rotation_figures
from surfpose_ros.evaluation.pose import LabelFrame, Outcome, evaluate_poses
from surfpose_ros.evaluation.pose_tables import pose_figures
from surfpose_ros.evaluation.samples import PoseSample, samples_from_labels, spread
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.geometry.symmetry import Symmetry, parse_symmetry
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.progress import Progress, silent
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.simulation.objects import SYMMETRIES
from surfpose_ros.video.capture import find_captures
from surfpose_ros.video.labels import read_labels

_PROTOCOLS: dict[str, Literal["labels", "search"]] = {"box given": "labels", "found by the model": "search"}


def run(
    data: Annotated[Path, typer.Option(help="As surfpose benchmark make-mini made it.")],
    work: Annotated[Path, typer.Option(help="For surfaces, alignments and models; kept, and used again.")],
    preset: Annotated[Literal["quick", "full"], typer.Option(help="Of the training.")] = "quick",
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; else the preset's.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Photos of each category, spread over all.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """From captures to poses in photos of objects never seen, category by category."""
    description = read_description(data)
    training = replace(PRESETS[preset], seed=0)
    if steps is not None:
        training = replace(training, steps=steps)
    settings = RetrainSettings(train=training, device=device)
    figures: dict[str, Any] = {"data": description, "steps": training.steps, "categories": {}}
    aligned: list[list[Cell]] = []
    posed: list[list[Cell]] = []
    for category in description["categories"]:
        result = _category(data, work / category, category, settings, limit, progress)
        figures["categories"][category] = result
        aligned.append([category, *_row(result["alignment"])])
        for name in _PROTOCOLS:
            poses = result["poses"][name]
            found, flips = 100 * poses["found"], 100 * poses["flips"]
            posed.append([category, name, *_row(poses), found, flips, _centimetres(poses)])
            if result["symmetry"] != str(Symmetry()):
                posed.append([category, "symmetry forgiven", *_row(poses["symmetric"]), None, None, None])
    units = "accuracies in per cent, angles in degrees"
    columns = ("category", "n", "Acc30", "Acc15", "Acc10", "median")
    tables = [
        Table(f"Alignment of the captures, all pairs, {units}", columns, aligned),
        Table(
            f"Poses of unseen objects in photos, {units}",
            ("category", "protocol", *columns[1:], "found", "flips", "cm"),
            posed,
            note="cm: median distance of the object's centre, where it was found. Learnt in "
            f"{training.steps} steps of {training.batch} images.",
        ),
    ]
    return BenchmarkResult("mini", figures, tables)


def _category(
    data: Path,
    work: Path,
    category: str,
    settings: RetrainSettings,
    limit: int | None,
    progress: Progress,
) -> dict[str, Any]:
    captures = data / "captures" / category
    retrain(find_captures([captures]), category, work / "model", work, settings, progress)
    videos = true_video_labels(captures, category)
    symmetry = parse_symmetry(SYMMETRIES[category])
    score = score_alignment(read_alignment(work / "alignment.json"), videos, symmetry)
    model = load_category_model(work / "model", settings.device)
    trained = {name: np.array(pose) for name, pose in model.info.captures.items()}
    # The objects are made in the labels' frame and their axis of symmetry is the canonical one.
    rotation, _ = fit_canonical_from_label(trained, videos, symmetry)
    mesh = model.template.mesh
    frame = LabelFrame(rotation=rotation, symmetry=symmetry, points=mesh.vertices / mesh.diagonal)
    folder = data / "photos" / category
    samples = spread(samples_from_labels(read_labels(folder / "labels.csv", folder)), limit)
    estimator = PoseEstimator([model])
    poses = {}
    for name, boxes in _PROTOCOLS.items():
        outcomes = evaluate_poses(estimator, samples, frame, boxes, progress)
        poses[name] = {**pose_figures(outcomes), "occlusion": _by_occlusion(outcomes)}
    return {
        "symmetry": str(symmetry),
        "alignment": alignment_figures([score]),
        "poses": poses,
    }


def _by_occlusion(outcomes: list[Outcome]) -> dict[str, Any]:
    groups: dict[str, list[PoseSample | float]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.sample.occlusion, []).append(outcome.symmetric_deg)
    return {
        name: rotation_figures(np.array(errors, dtype=float)) for name, errors in sorted(groups.items())
    }


def _row(figures: dict[str, Any]) -> list[Cell]:
    accuracies = [100 * figures[key] for key in ("acc30", "acc15", "acc10")]
    return [figures["n"], *accuracies, figures["median_deg"]]


def _centimetres(poses: dict[str, Any]) -> float | None:
    median = poses.get("translation", {}).get("median_m")
    return None if median is None else 100 * median
