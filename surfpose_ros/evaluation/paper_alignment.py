"""`surfpose benchmark paper-alignment`: alignment of CO3D's labelled videos, 20 categories, all pairs.

The labels are the manual ones of Goodwin et al. (2022) as the paper's authors release them; their own
alignments in the same file are scored beside ours. Cameras and masks are CO3D's, as in the paper.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from surfpose_ros.alignment.alignment import write_alignment
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import published_alignment
from surfpose_ros.evaluation.alignment import AlignmentScore, alignment_figures, score_alignment
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.datasets.co3d import PAPER_CATEGORIES, Co3dSequence, read_co3d
from surfpose_ros.evaluation.label_frames import VideoLabels
from surfpose_ros.evaluation.metrics import rotation_figures
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.surface.reconstruct import reconstruct
from surfpose_ros.surface.surface import Surface, load_surface, save_surface

_KEYS = ("acc30", "acc15", "acc10", "median_deg")


def run(
    data: Annotated[Path, typer.Option(help="The npz of released alignments and manual labels.")],
    co3d: Annotated[
        Path | None, typer.Option(help="CO3D v2; without it only the released alignments are scored.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="For surfaces and alignments; kept, used again.")
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    max_frames: Annotated[int, typer.Option(min=8, help="Frames of each video, spread over it.")] = 40,
    backbone: Annotated[str, typer.Option(help="For the surface features.")] = DEFAULT_BACKBONE,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """The paper's table on alignment, with our row where CO3D is at hand."""
    released = published_alignment.run(data, progress)
    rows: list[list[Cell]] = [
        [f"released, {variant}", *_row(figures)]
        for variant, figures in released.figures.items()
        if variant != "categories"
    ]
    figures: dict[str, Any] = {"released": dict(released.figures)}
    tables = []
    if co3d is not None:
        if work is None:
            raise SurfposeError("--co3d needs --work DIR, where surfaces and alignments are kept")
        labels = manual_labels(data)
        scores = []
        for name in category or PAPER_CATEGORIES:
            scores.append(_align(co3d, work / name, name, labels, max_frames, backbone, device, progress))
        figures["ours"] = alignment_figures(scores)
        rows.append(["ours", *_row(figures["ours"])])
        tables.append(_category_table(scores))
    columns = ("alignments", "pairs", "Acc30", "Acc15", "Acc10", "median")
    note = "Over the pairs of all categories; accuracies in per cent, angles in degrees."
    tables.insert(0, Table("Alignment of CO3D, all pairs of labelled videos", columns, rows, note))
    return BenchmarkResult("paper-alignment", figures, tables)


def manual_labels(path: Path) -> dict[str, VideoLabels]:
    """The manual labels of an npz of released alignments, by "category/video"."""
    found = {}
    for key, common_from_video in published_alignment.read_labels(path).items():
        category = key.partition("/")[0]
        found[key] = VideoLabels(key, category, common_from_video.T, 0.0, 1)
    return found


def _align(
    root: Path,
    work: Path,
    category: str,
    labels: dict[str, VideoLabels],
    max_frames: int,
    backbone: str,
    device: str,
    progress: Progress,
) -> AlignmentScore:
    names = sorted(key.partition("/")[2] for key in labels if key.startswith(f"{category}/"))
    if len(names) < 2:
        raise SurfposeError(f"{category}: fewer than two labelled videos; the labels do not cover it")
    surfaces: list[Surface] = []
    failed: dict[str, str] = {}
    network = load_backbone(backbone, device)
    for sequence in track(read_co3d(root, category, names), progress, f"{category} surfaces", len(names)):
        try:
            surfaces.append(_surface(sequence, work / "surfaces", network, max_frames))
        except SurfposeError as error:
            failed[sequence.name] = str(error)
    alignment = align_surfaces(surfaces, progress=progress, device=device)
    alignment = replace(alignment, category=category, set_aside=alignment.set_aside | failed)
    write_alignment(work / "alignment.json", alignment)
    videos = {name: replace(labels[f"{category}/{name}"], name=name) for name in names}
    return score_alignment(alignment, videos)


def _surface(sequence: Co3dSequence, folder: Path, network: Any, max_frames: int) -> Surface:
    if (folder / f"{sequence.name}.safetensors").exists():
        return load_surface(folder, sequence.name)
    surface = reconstruct(sequence.read(max_frames), network)
    save_surface(surface, folder)
    return surface


def _row(figures: dict[str, Any]) -> list[Cell]:
    return [figures["n"], *(figures[key] * (100 if key.startswith("acc") else 1) for key in _KEYS)]


def _category_table(scores: list[AlignmentScore]) -> Table:
    rows: list[list[Cell]] = []
    for score in scores:
        rows.append([score.category, *_row(rotation_figures(score.pairs)), len(score.set_aside)])
    means = [float(np.mean([row[index] for row in rows])) for index in range(2, 6)]
    rows.append(["mean of the categories", None, *means, None])
    columns = ("category", "pairs", "Acc30", "Acc15", "Acc10", "median", "set aside")
    return Table("Ours, by category, accuracies in per cent, angles in degrees", columns, rows)
