"""`surfpose simulate`: captures of simulated turntables, or pictures in the wild, with ground truth."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from surfpose_ros.cli.console import JsonOption, counted, out, print_json, progress_bars
from surfpose_ros.simulation.captures import POSES, CaptureOptions, simulate_captures
from surfpose_ros.simulation.labels import LabelledImages
from surfpose_ros.simulation.objects import SimulatedObject, load_object, make_object
from surfpose_ros.simulation.scene_set import simulate_scenes
from surfpose_ros.simulation.scenes import SceneSettings
from surfpose_ros.simulation.turntable import TurntableSettings

app = typer.Typer()


@app.command()
def simulate(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the captures or the pictures.")],
    category: Annotated[str, typer.Option(help="Parametric category, or the name of the meshes'.")] = "mug",
    mesh: Annotated[
        list[Path] | None,
        typer.Option(help="Mesh file, z up and x front; repeat for more. One object each."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of parametric objects.")] = 8,
    first: Annotated[int, typer.Option(min=0, help="Number of the first parametric object.")] = 0,
    views: Annotated[int, typer.Option(min=3, help="Frames a capture.")] = 48,
    scenes: Annotated[int, typer.Option(min=0, help="Write so many pictures in the wild instead.")] = 0,
    seed: Annotated[int, typer.Option(help="Of rooms, poses and frames.")] = 0,
    poses: Annotated[str, typer.Option(help=f"Camera poses in the bag: {', '.join(POSES)}.")] = "dataset",
    board: Annotated[
        str, typer.Option(help="With --poses board: charuco, or grid (AprilTags).")
    ] = "charuco",
    exact: Annotated[bool, typer.Option("--exact", help="dataset poses in the canonical frame.")] = False,
    masks: Annotated[bool, typer.Option(help="A mask topic in the bag.")] = True,
    background: Annotated[bool, typer.Option(help="Pictures of the empty turntable in the bag.")] = False,
    depth: Annotated[
        bool, typer.Option(help="A depth topic in the bag, registered to the images.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Write the same pictures here too, with a labels.csv.")
    ] = None,
    elevations: Annotated[
        str, typer.Option(help="Camera elevations, degrees: one a turn; for scenes the range.")
    ] = "",
    diagonal: Annotated[
        float | None,
        typer.Option(min=1e-3, help="Diagonal of mesh objects, metres; as in the file if left out."),
    ] = None,
    size_spread: Annotated[
        float, typer.Option(min=0, max=0.9, help="Scenes: mesh sizes vary by up to this share.")
    ] = 0.0,
    width: Annotated[int, typer.Option(min=16, max=8192, help="Image width, pixels.")] = 640,
    height: Annotated[int, typer.Option(min=16, max=8192, help="Image height, pixels.")] = 480,
    noise: Annotated[float, typer.Option(min=0, help="Image noise, grey levels.")] = 2.0,
    light: Annotated[float, typer.Option(min=0, max=1, help="Variation of the light.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Render captures of a simulated turntable or, with --scenes, pictures in the wild, with the truth."""
    makers: list[Callable[[], SimulatedObject]] = [
        partial(load_object, path, category, diagonal) for path in mesh or []
    ]
    names = [path.stem for path in mesh or []]
    if not mesh:
        makers = [partial(make_object, category, number) for number in range(first, first + count)]
        names = [f"{category}_{number:03d}" for number in range(first, first + count)]
    if len(set(names)) < len(names):
        raise typer.BadParameter("two meshes have the same file name, after which captures are named")
    angles = _radians(elevations)
    with progress_bars(quiet=as_json) as progress:
        if scenes:
            scene_settings = SceneSettings(width=width, height=height, noise=noise)
            if angles:
                scene_settings = replace(scene_settings, elevation=(min(angles), max(angles)))
            written = simulate_scenes(
                makers, out_dir, scenes, seed, scene_settings, size_spread, depth, progress
            )
            result: dict[str, Any] = {"labels": str(written), "images": scenes}
            said = f"{scenes} pictures with truth: {written}"
        else:
            table = TurntableSettings(width=width, height=height, noise=noise, light_variation=light)
            if angles:
                table = replace(table, elevations=angles)
            options = CaptureOptions(views, poses, board, exact, masks, background, depth, table)
            images = LabelledImages(labels) if labels else None
            folders = simulate_captures(makers, names, out_dir, seed, options, images, progress)
            result = {"captures": [str(folder) for folder in folders]}
            said = f"{counted(len(folders), 'capture')} in {out_dir}"
            if images:
                result["labels"] = str(images.write())
                said += f", the same as pictures in {labels}"
    if as_json:
        print_json(result)
    else:
        out.print(said, soft_wrap=True)


def _radians(degrees: str) -> tuple[float, ...]:
    try:
        return tuple(float(np.deg2rad(float(text))) for text in degrees.split(",") if text.strip())
    except ValueError:
        raise typer.BadParameter(f"--elevations {degrees!r}: numbers in degrees, such as 15,40") from None
