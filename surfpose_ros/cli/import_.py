"""`surfpose import`: a labelled set of images, or folders of pictures, to captures."""

from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.cli.console import JsonOption, counted, out, print_json, progress_bars
from surfpose_ros.video.import_labels import import_labels
from surfpose_ros.video.import_pictures import import_pictures

app = typer.Typer()


@app.command()
def import_(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the captures, one a video.")],
    labels: Annotated[
        Path | None, typer.Option(help="Labels CSV: image,qw,qx,qy,qz, with video and mask.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that the CSV's image names are relative to.")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Folder with the pictures of one object; repeat for more.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Take this category only, and name it so.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random frame that each video is put into.")] = 0,
    metric: Annotated[
        bool, typer.Option("--metric", help="tx, ty, tz are metres: keep the scale.")
    ] = False,
    turn: Annotated[
        float | None,
        typer.Option(
            help="Pictures: an even spin by so many degrees, anticlockwise from above (or less than 0)."
        ),
    ] = None,
    elevation: Annotated[float, typer.Option(help="Spin: the camera's height, degrees.")] = 10.0,
    focal: Annotated[
        float | None, typer.Option(min=1, help="Pictures: focal length, pixels; a long lens if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn pictures into captures (rosbag2 with capture.yaml): a labelled set, or folders of one object.

    Each labelled video's frame is turned, scaled and shifted at random, so that nothing of the labels'
    common frame is left for the alignment to find.
    """
    if (labels is None) == (not images):
        raise typer.BadParameter("give either --labels with --root, or --images")
    with progress_bars(quiet=as_json) as progress:
        if labels is not None:
            if root is None:
                raise typer.BadParameter("--labels needs --root, the folder that its names are relative to")
            folders = import_labels(labels, root, out_dir, category, seed, metric, progress)
        else:
            if category is None:
                raise typer.BadParameter("--images needs --category, such as mug")
            folders = [
                import_pictures(
                    folder, out_dir / folder.resolve().name, category, turn, elevation, focal, progress
                )
                for folder in images or []
            ]
    if as_json:
        print_json({"captures": [str(folder) for folder in folders]})
    else:
        name = category or "NAME"
        out.print(f"{counted(len(folders), 'capture')} in {out_dir}", soft_wrap=True)
        out.print(f"next: surfpose retrain --category {name} {out_dir} --out models/{name}", soft_wrap=True)
