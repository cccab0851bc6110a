"""`surfpose import`: a labelled set of images to captures."""

from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.cli.console import JsonOption, out, print_json, progress_bars
from surfpose_ros.video.import_labels import import_labels

app = typer.Typer()


@app.command()
def import_(
    labels: Annotated[Path, typer.Option(help="Labels CSV: image,qw,qx,qy,qz, with video and mask.")],
    root: Annotated[Path, typer.Option(help="Folder that the CSV's image names are relative to.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the captures, one a video.")],
    category: Annotated[str | None, typer.Option(help="Take this category only, and name it so.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random frame that each video is put into.")] = 0,
    metric: Annotated[
        bool, typer.Option("--metric", help="tx, ty, tz are metres: keep the scale.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a labelled set of images into captures (rosbag2 with capture.yaml), one a video.

    Each video's frame is turned, scaled and shifted at random, so that nothing of the labels' common
    frame is left for the alignment to find.
    """
    with progress_bars(quiet=as_json) as progress:
        folders = import_labels(labels, root, out_dir, category, seed, metric, progress)
    if as_json:
        print_json({"captures": [str(folder) for folder in folders]})
    else:
        out.print(f"{len(folders)} captures in {out_dir}", soft_wrap=True)
        out.print(f"next: surfpose retrain --category NAME {out_dir}/* --out MODEL", soft_wrap=True)
