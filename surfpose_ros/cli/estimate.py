"""`surfpose estimate`: poses in pictures, videos and bags, as text, JSON and overlays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from surfpose_ros.category.model import load_category_models
from surfpose_ros.cli.console import JsonOption, err, out, print_json
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.drawing import draw_result
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.output import result_as_dict, result_as_text
from surfpose_ros.video.pictures import save_picture
from surfpose_ros.video.sources import OVERLAY_MARK, Picture, find_sources, is_moving, read_source

OVERLAY_RATE = 10.0  # pictures a second in overlays of videos and bags

app = typer.Typer()


@app.command()
def estimate(
    images: Annotated[list[Path], typer.Argument(help="Pictures, videos, bags, or folders of pictures.")],
    model: Annotated[list[Path], typer.Option(help="Category model; repeat for several.")],
    box: Annotated[
        str | None, typer.Option(help="x,y,width,height of the object in pixels, or 'whole'.")
    ] = None,
    intrinsics: Annotated[
        str | None,
        typer.Option(help="fx,fy,cx,cy in pixels; without them no distances. Bags have their own."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of videos and bags each so many-th picture.")] = 1,
    overlay: Annotated[
        Path | None, typer.Option(help="Folder for the overlays; beside each picture if not given.")
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score of a detection.")] = 0.5,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Find the objects of a category in pictures and say where they are and how they are turned."""
    models = load_category_models(model, device)
    meshes = {loaded.name: loaded.template.mesh for loaded in models}
    estimator = PoseEstimator(models, EstimatorSettings(threshold=threshold))
    results: dict[str, Any] = {}
    failed = False
    for source in find_sources(images):
        drawn = (overlay or source.parent) / f"{source.stem}{OVERLAY_MARK}"
        drawn = drawn.with_name(drawn.name + (".mp4" if is_moving(source) else ".jpg"))
        drawn.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = []
            with _overlays(drawn) as add:
                for picture in _with_camera(read_source(source, every), intrinsics):
                    result = estimator(picture.image, picture.camera, _boxes(box, picture.image))
                    add(draw_result(picture.image, result, picture.camera, meshes))
                    found.append(result_as_dict(result) | {"seconds": picture.seconds})
                    if not as_json:
                        where = source.parent / picture.name
                        out.print(f"{where}: {result_as_text(result)}", soft_wrap=True)
        except SurfposeError as error:
            err.print(f"surfpose: {source}: {error}", soft_wrap=True)
            failed = True
            continue
        single = found[0] | {"overlay": str(drawn)}
        results[str(source)] = {"pictures": found, "overlay": str(drawn)} if is_moving(source) else single
        if not as_json:
            out.print(f"  {drawn}", soft_wrap=True)
    if as_json:
        print_json({"images": results})
    if failed:
        raise typer.Exit(1)


@contextmanager
def _overlays(path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Takes drawn pictures; leaves one picture, or a video of them, whole or not at all."""
    if path.suffix == ".jpg":
        yield partial(save_picture, path)
        return
    with atomic_file(path) as temporary:
        video, count = cv2.VideoWriter(), 0

        def add(image: np.ndarray) -> None:
            nonlocal count
            if not count:  # all have the size of the first
                codec = cv2.VideoWriter.fourcc(*"mp4v")
                video.open(str(temporary), codec, OVERLAY_RATE, (image.shape[1], image.shape[0]))
            video.write(np.ascontiguousarray(image[..., ::-1]))
            count += 1

        yield add
        video.release()
        # OpenCV does not say that a disk is full.
        if cv2.VideoCapture(str(temporary)).get(cv2.CAP_PROP_FRAME_COUNT) != count:
            raise SurfposeError(
                f"{path}: cannot be written; make space, or name another folder with --overlay"
            )


def _with_camera(pictures: Iterator[Picture], text: str | None) -> Iterator[Picture]:
    """The pictures, those without a camera of their own with the given intrinsics."""
    for picture in pictures:
        camera = picture.camera or _camera(text, picture.image)
        yield Picture(picture.name, picture.image, camera, picture.seconds)


def _camera(text: str | None, image: np.ndarray) -> Camera | None:
    if text is None:
        return None
    fx, fy, cx, cy = _numbers(text, "--intrinsics", "fx,fy,cx,cy")
    return Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), image.shape[1], image.shape[0])


def _boxes(text: str | None, image: np.ndarray) -> np.ndarray | None:
    if text is None:
        return None
    if text == "whole":
        return np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])
    return np.array([_numbers(text, "--box", "x,y,width,height")])


def _numbers(text: str, option: str, form: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
    return values
