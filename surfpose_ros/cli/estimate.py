"""`surfpose estimate`: poses in pictures, as text, JSON and overlays."""

from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from surfpose_ros.category.model import load_category_model
from surfpose_ros.cli.console import JsonOption, err, out, print_json
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.detection import PoseResult
from surfpose_ros.pose.drawing import draw_result
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.output import result_as_dict, result_as_text
from surfpose_ros.video.pictures import read_picture

app = typer.Typer()


@app.command()
def estimate(
    images: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    model: Annotated[list[Path], typer.Option(help="Category model; repeat for several.")],
    box: Annotated[
        str | None, typer.Option(help="x,y,width,height of the object in pixels, or 'whole'.")
    ] = None,
    intrinsics: Annotated[
        str | None, typer.Option(help="fx,fy,cx,cy in pixels; without them distances mean nothing.")
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Folder for the overlay pictures; beside each image if not given.")
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score of a detection.")] = 0.5,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Find the objects of a category in pictures and say where they are and how they are turned."""
    models = [load_category_model(folder, device) for folder in model]
    meshes = {loaded.name: loaded.template.mesh for loaded in models}
    estimator = PoseEstimator(models, EstimatorSettings(threshold=threshold))
    results: dict[str, Any] = {}
    failed = False
    for path in find_pictures(images):
        try:
            image = read_picture(path)
            camera = _camera(intrinsics, image)
            result = estimator(image, camera, _boxes(box, image))
        except SurfposeError as error:
            err.print(f"surfpose: {path}: {error}", soft_wrap=True)
            failed = True
            continue
        drawn = (overlay or path.parent) / f"{path.stem}.pose.jpg"
        drawn.parent.mkdir(parents=True, exist_ok=True)
        _write(drawn, draw_result(image, result, camera, meshes))
        results[str(path)] = result_as_dict(result) | {"overlay": str(drawn)}
        if not as_json:
            _say(path, result, drawn)
    if as_json:
        print_json({"images": results})
    if failed:
        raise typer.Exit(1)


def find_pictures(paths: list[Path]) -> list[Path]:
    """The pictures named, and those in the folders named, overlays left out.

    Raises:
        SurfposeError: a path that is not there, or no picture at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SurfposeError(f"{path}: no such picture")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        known = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
        found += [p for p in inside if p.suffix.lower() in known and not p.stem.endswith(".pose")]
    if not found:
        raise SurfposeError(f"{', '.join(map(str, paths))}: no picture (jpg, png, ...) found")
    return found


def _camera(text: str | None, image: np.ndarray) -> Camera | None:
    if text is None:
        return None
    fx, fy, cx, cy = _numbers(text, "--intrinsics", "fx,fy,cx,cy")
    return Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), image.shape[1], image.shape[0])


def _boxes(text: str | None, image: np.ndarray) -> np.ndarray | None:
    if text is None:
        return None
    if text == "whole":
        return np.array([[-0.5, -0.5, image.shape[1], image.shape[0]]])
    return np.array([_numbers(text, "--box", "x,y,width,height")])


def _numbers(text: str, option: str, form: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
    return values


def _say(path: Path, result: PoseResult, drawn: Path) -> None:
    out.print(f"{path}: {result_as_text(result)}", soft_wrap=True)
    out.print(f"  {drawn}", soft_wrap=True)


def _write(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise SurfposeError(f"{path}: cannot be written; name another folder with --overlay")
