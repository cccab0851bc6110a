"""`surfpose evaluate pose`: one model against one labels CSV, from reading the files to the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.category.model import CategoryModel, load_category_model
from surfpose_ros.category.on_cpu import compiled_on_cpu
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult, machine
from surfpose_ros.evaluation.charts import by_azimuth, by_occlusion, reliability
from surfpose_ros.evaluation.datasets.registry import read_dataset
from surfpose_ros.evaluation.gallery import by_error, contact_sheet, tile, tiles
from surfpose_ros.evaluation.label_frames import VideoLabels, fit_canonical_from_label, read_axes
from surfpose_ros.evaluation.occlusion import cover_samples
from surfpose_ros.evaluation.pose import (
    BoxSource,
    LabelFrame,
    Outcome,
    box_source,
    evaluate_poses,
)
from surfpose_ros.evaluation.pose_tables import outcomes_csv, pose_figures, pose_tables
from surfpose_ros.evaluation.report import Report
from surfpose_ros.evaluation.samples import PoseSample, samples_from_labels, spread
from surfpose_ros.geometry.symmetry import parse_symmetry
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.progress import Progress, silent
from surfpose_ros.video.labels import read_labels

GALLERY = 24


@dataclass(frozen=True)
class PoseEvaluation:
    """What is asked for; see the options of `surfpose evaluate pose`."""

    model: Path
    root: Path
    labels: Path | None = None
    dataset: str | None = None
    split: str | None = None
    axes_labels: Path | None = None
    axes_captures: Path | None = None
    axes_root: Path | None = None
    symmetry: str = "model"
    boxes: BoxSource = "auto"
    limit: int | None = None
    cover: tuple[float, float] | None = None
    cover_with: Path | None = None
    device: str = "cpu"
    compiled: bool = False
    depth: bool = False


@dataclass(frozen=True)
class PoseReport:
    """The outcomes, and how they are shown."""

    model: CategoryModel
    outcomes: list[Outcome]
    conditions: list[str]

    def result(self) -> BenchmarkResult:
        """Figures and tables."""
        figures = {
            "category": self.model.name,
            "conditions": self.conditions,
            **pose_figures(self.outcomes),
        }
        note = "; ".join(self.conditions)
        return BenchmarkResult("evaluate pose", figures, pose_tables(self.outcomes, note))

    def csv(self) -> str:
        """One row an image."""
        return outcomes_csv(self.outcomes)

    def worst_picture(self) -> np.ndarray:
        """A sheet of the worst answers beside the truth."""
        templates = {self.model.name: self.model.template.mesh}
        worst = by_error(self.outcomes, GALLERY, worst=True)
        return contact_sheet([tile(outcome, templates) for outcome in worst])

    def page(self) -> Report:
        """Everything on one page."""
        templates = {self.model.name: self.model.template.mesh}
        where = ", ".join(f"{key} {value}" for key, value in machine().items())
        page = Report(f"Poses of {self.model.name}", where)
        for table in self.result().tables:
            page.add_table(table)
        errors = {"rotation error": [outcome.error_deg for outcome in self.outcomes]}
        if self.model.symmetry:
            errors["symmetry forgiven"] = [outcome.symmetric_deg for outcome in self.outcomes]
        counted = {name: np.nan_to_num(values, nan=180.0) for name, values in errors.items()}
        page.add_histogram(counted, "Rotation errors; none found counts as 180", "degrees")
        page.add_figure(by_azimuth(self.outcomes), "Accuracy by direction of view")
        if any(outcome.sample.occlusion for outcome in self.outcomes):
            page.add_figure(by_occlusion(self.outcomes), "Accuracy by occlusion")
        page.add_figure(reliability(self.outcomes), "How far the score can be trusted")
        for title, worst in (("Best", False), ("Worst", True)):
            chosen = by_error(self.outcomes, GALLERY, worst)
            page.add_gallery(tiles(chosen, templates), f"{title} answers, estimate beside truth")
        return page.add_meshes(templates, "The template")


def evaluate_model(request: PoseEvaluation, progress: Progress = silent) -> PoseReport:
    """Load, estimate, compare.

    Raises:
        SurfposeError: anything that cannot be read or does not fit together.
    """
    model = load_category_model(request.model, request.device)
    samples = spread(read_samples(request, model.name), request.limit)
    frame, said = label_frame(model, request, progress)
    source = box_source(samples) if request.boxes == "auto" else request.boxes
    if request.cover:
        if request.cover_with is None:
            raise SurfposeError("--cover needs photos to cover objects with: --cover-with FOLDER")
        samples = cover_samples(samples, request.cover, request.cover_with)
        said.append("{:.0%} to {:.0%} of each box covered by patches of photos".format(*request.cover))
    if request.compiled:
        (model,) = compiled_on_cpu([model])
        said.append("compiled")
    if request.depth:
        said.append("depth pictures are given")
    estimator = PoseEstimator([model], EstimatorSettings(compiled=request.compiled))
    outcomes = evaluate_poses(estimator, samples, frame, source, progress, request.depth)
    return PoseReport(model, outcomes, [*said, _SOURCES[source]])


def read_samples(request: PoseEvaluation, category: str) -> list[PoseSample]:
    """The test set of a request: the rows of its labels CSV, or of a data set.

    Raises:
        SurfposeError: neither or both are named, or nothing of the category is in it.
    """
    if (request.labels is None) == (request.dataset is None):
        raise SurfposeError("name the test set: either --labels FILE or --dataset NAME")
    if request.labels is None:
        samples = read_dataset(str(request.dataset), request.root, category, request.split)
    else:
        samples = samples_from_labels(read_labels(request.labels, request.root))
    kept = [sample for sample in samples if sample.category in ("", category)]
    if not kept:
        known = sorted({sample.category for sample in samples})
        where = request.labels or request.root
        raise SurfposeError(f"{where}: no image of {category!r}; it has {', '.join(known) or 'none'}")
    return kept


def label_frame(
    model: CategoryModel, request: PoseEvaluation, progress: Progress = silent
) -> tuple[LabelFrame, list[str]]:
    """The labels' frame in the model's, and in words where it comes from.

    Raises:
        SurfposeError: only one of the two things that tell it, or labels that do not name its videos.
    """
    if (request.axes_labels is None) != (request.axes_captures is None):
        raise SurfposeError(
            "--axes-labels and --axes-captures belong together: labels of the training videos"
        )
    videos = {}
    if request.axes_labels and request.axes_captures:
        root = request.axes_root or request.root
        videos = read_axes(request.axes_captures, request.axes_labels, root, progress)
    return linked_frame(model, videos, request.symmetry)


def linked_frame(
    model: CategoryModel, videos: Mapping[str, VideoLabels], symmetry: str
) -> tuple[LabelFrame, list[str]]:
    """The labels' frame in the model's, and in words where it comes from.

    Args:
        model: whose axes are meant.
        videos: labels of its training videos; none if the labels' axes are the model's own.
        symmetry: that is forgiven, in the labels' frame; "model" for the model's own.

    Raises:
        SurfposeError: labels that do not name the model's videos.
    """
    rotation, said = np.eye(3), "the labels' axes are taken to be the model's own"
    if videos:
        trained = {name: np.array(pose) for name, pose in model.info.captures.items()}
        rotation, off = fit_canonical_from_label(trained, videos, model.symmetry)
        said = (
            f"the labels' axes are linked to the model's by {len(off)} training videos "
            f"(median {np.median(off):.1f} deg off, worst {off.max():.0f})"
        )
    if symmetry == "model":
        forgiven = model.symmetry.turned(torch.from_numpy(rotation.T))
    else:
        forgiven = parse_symmetry(symmetry)
    mesh = model.template.mesh
    frame = LabelFrame(rotation=rotation, symmetry=forgiven, points=mesh.vertices / mesh.diagonal)
    return frame, [said] + ([f"symmetry: {forgiven}"] if forgiven else [])


_SOURCES = {
    "labels": "boxes are given by the labels",
    "image": "the whole image is given as the box",
    "search": "no boxes are given: the model finds the object itself",
}
