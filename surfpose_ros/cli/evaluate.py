"""`surfpose evaluate`: an alignment or a model against labels that neither of them has seen."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from surfpose_ros.cli.console import err, progress_bars
from surfpose_ros.cli.outputs import STDOUT, CsvFile, HtmlFile, JsonFile, LatexFile, publish
from surfpose_ros.evaluation.benchmark import BenchmarkResult, write_picture, write_text

app = typer.Typer(no_args_is_help=True, add_completion=False)

Labels = Annotated[Path, typer.Option("--labels", help="Labels CSV: image,qw,qx,qy,qz and more.")]
Root = Annotated[Path, typer.Option("--root", help="Folder that the CSV's image names are relative to.")]
SymmetryOption = Annotated[
    str, typer.Option(help="Turns that change nothing in the labels' frame: none, z:2, z:4, z:inf, ...")
]


@app.callback()
def evaluate() -> None:
    """Measure an alignment or a category model against labels."""


@app.command("alignment")
def evaluate_alignment(
    alignment: Annotated[list[Path], typer.Option(help="alignment.json of a category; may be repeated.")],
    captures: Annotated[Path, typer.Option(help="The folder of captures that were aligned.")],
    labels: Labels,
    root: Root,
    symmetry: SymmetryOption = "none",
    surfaces: Annotated[
        Path | None, typer.Option(help="Their surfaces: the page then shows the aligned meshes.")
    ] = None,
    json_file: JsonFile = None,
    csv_file: CsvFile = None,
    latex_file: LatexFile = None,
    html_file: HtmlFile = None,
) -> None:
    """Relative rotation errors over all pairs of videos: Acc30, Acc15, Acc10, median, per category."""
    from surfpose_ros.alignment.alignment import read_alignment
    from surfpose_ros.evaluation.alignment import (
        aligned_meshes,
        alignment_figures,
        alignment_tables,
        score_alignment,
    )
    from surfpose_ros.evaluation.label_frames import read_video_labels
    from surfpose_ros.geometry.symmetry import parse_symmetry
    from surfpose_ros.video.labels import read_labels

    turns = parse_symmetry(symmetry)
    alignments = [read_alignment(path) for path in alignment]
    rows = read_labels(labels, root)
    with progress_bars(quiet=json_file == STDOUT) as progress:
        videos = read_video_labels(captures, rows, progress)
    scores = [score_alignment(one, videos, turns) for one in alignments]
    figures = alignment_figures(scores) | {"symmetry": turns.as_dict()}
    meshes = {}
    if surfaces and html_file:
        meshes = {
            f"{one.category}: the aligned meshes, turn them with the mouse": aligned_meshes(one, surfaces)
            for one in alignments
        }
    errors = {score.category: np.nan_to_num(score.pairs, nan=180.0) for score in scores}
    histograms = {"Errors of all pairs; set aside counts as 180": errors}
    tables = alignment_tables(scores)
    result = BenchmarkResult("evaluate alignment", figures, tables, histograms=histograms, meshes=meshes)
    publish(result, json_file, csv_file, latex_file, html_file)


@app.command("pose")
def evaluate_pose(
    model: Annotated[Path, typer.Option(help="Folder of the category model.")],
    root: Annotated[
        Path, typer.Option(help="Folder that the labels' image names are relative to, or the data set's.")
    ],
    labels: Annotated[Path | None, typer.Option(help="Labels CSV: image,qw,qx,qy,qz and more.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Instead of --labels: pascal3d, objectnet3d, imagenet3d, stanford-cars3d, ..."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of the data set; its test split if left out.")] = None,
    axes_labels: Annotated[
        Path | None,
        typer.Option(help="Labels CSV of the training videos; it links the model's axes to the labels'."),
    ] = None,
    axes_captures: Annotated[
        Path | None, typer.Option(help="The captures that the model was trained on.")
    ] = None,
    axes_root: Annotated[
        Path | None, typer.Option(help="As --root, for --axes-labels; the same if left out.")
    ] = None,
    symmetry: Annotated[
        str,
        typer.Option(help="Turns that change nothing, in the labels' frame; 'model' takes the model's."),
    ] = "model",
    boxes: Annotated[
        Literal["auto", "labels", "image", "search"],
        typer.Option(help="Boxes given to the model: the labels', the whole image, or none (it searches)."),
    ] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many images, spread over all.")] = None,
    cover: Annotated[
        tuple[float, float] | None, typer.Option(help="Cover a share of each box, between these: 0.2 0.4.")
    ] = None,
    cover_with: Annotated[
        Path | None, typer.Option(help="Folder of photos of which the covering patches are cut.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    compiled: Annotated[bool, typer.Option(help="As pose_node's parameter compile.")] = False,
    depth: Annotated[bool, typer.Option(help="Give the model the labels' depth pictures too.")] = False,
    json_file: JsonFile = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="One row an image, as CSV.")
    ] = None,
    latex_file: LatexFile = None,
    html_file: HtmlFile = None,
    gallery: Annotated[
        Path | None, typer.Option(metavar="PNG", help="The worst answers, drawn beside the truth.")
    ] = None,
) -> None:
    """Rotation errors of a model on labelled images: Acc30, Acc15, Acc10, median, flips, and more."""
    from surfpose_ros.evaluation.model_evaluation import PoseEvaluation, evaluate_model

    with progress_bars(quiet=json_file == STDOUT) as progress:
        request = PoseEvaluation(
            model=model,
            root=root,
            labels=labels,
            dataset=dataset,
            split=split,
            axes_labels=axes_labels,
            axes_captures=axes_captures,
            axes_root=axes_root or root,
            symmetry=symmetry,
            boxes=boxes,
            limit=limit,
            cover=cover,
            cover_with=cover_with,
            device=device,
            compiled=compiled,
            depth=depth,
        )
        report = evaluate_model(request, progress)
    publish(report.result(), json_file, latex_file=latex_file)
    if csv_file:
        write_text(csv_file, report.csv())
    if html_file:
        report.page().write(html_file)
    if gallery:
        write_picture(gallery, report.worst_picture())
    for path in (csv_file, html_file, gallery):
        if path:
            err.print(f"wrote {path}", soft_wrap=True)
