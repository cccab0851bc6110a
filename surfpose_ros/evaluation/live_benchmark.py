"""`surfpose benchmark live`: how long one image takes from decoded pixels to poses, stage by stage.

Four ways, image by image in turn, so that a busy machine slows all alike: the whole image searched; one
object followed, its box known roughly from the image before, as in pose_node; its box given exactly; and
several boxes given. Beside them the backbone alone, of one crop.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.category.model import load_category_models
from surfpose_ros.category.on_cpu import compiled_on_cpu
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.samples import read_picture
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.evaluation.untrained import Layout, untrained
from surfpose_ros.evenly import evenly
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.detection import PoseResult
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.looking import Box
from surfpose_ros.pose.recorded import Recorded
from surfpose_ros.progress import Progress, silent
from surfpose_ros.video.import_pictures import picture_files

STAGES = ("upload", "localise", "network", "pose")
SUMS = ("all but upload", "all")
FOCAL = 0.96  # of the longer side, where none is told: 55 degrees across
WARM_UP = 3


def run(
    model: Annotated[list[Path], typer.Argument(help="Category models, all looked for at once.")],
    images: Annotated[Path, typer.Option(help="Folder of pictures that show the object.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many pictures, evenly chosen.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each picture is shown.")] = 1,
    max_objects: Annotated[int, typer.Option(min=1, help="Of each category, as in pose_node.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Of the arithmetic; 0 for PyTorch's own.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    compiled: Annotated[bool, typer.Option(help="As pose_node's parameter compile.")] = False,
    boxes: Annotated[int, typer.Option(min=2, help="Given at once, where several are.")] = 8,
    mirror: Annotated[
        bool, typer.Option(help="Look at mirrored crops too, where an object allows.")
    ] = True,
    layout: Annotated[
        Layout | None, typer.Option(help="Time an untrained network with this backbone instead.")
    ] = None,
    input_size: Annotated[int, typer.Option(min=32, help="Side of its crops, pixels.")] = 448,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Medians and 99th percentiles of each stage after a warm-up, and the memory that it took."""
    if threads:
        torch.set_num_threads(threads)
    pictures = [read_picture(path) for path in evenly(picture_files(images), limit)]
    if not pictures:
        raise SurfposeError(f"{images}: no pictures in there")
    models = load_category_models(model, device)
    if layout:
        models = [untrained(one, layout, input_size) for one in models]
    if compiled:
        models = compiled_on_cpu(models)
    settings = EstimatorSettings(0.0, max_objects, mirror=mirror, compiled=compiled)
    estimator = PoseEstimator(models, settings)
    backbone = _backbone(models[0].network.backbone, models[0].info.input_size, models[0].device, compiled)
    times: dict[str, list[dict[str, float]]] = {}
    found = 0
    for number, index in enumerate([0] * WARM_UP + list(range(len(pictures))) * rounds):
        seconds, objects = _measure(estimator, pictures[index], boxes)
        seconds["backbone alone"] = _timed(backbone)
        if number >= WARM_UP:
            found += objects
            for way, stages in seconds.items():
                times.setdefault(way, []).append(stages)
        progress("pictures", number + 1, WARM_UP + len(pictures) * rounds)
    if not found:
        raise SurfposeError(f"{images}: nothing in the pictures looks like {models[0].name} at all")
    figures: dict[str, Any] = {
        "models": [loaded.name for loaded in models],
        "backbone": models[0].info.backbone,
        "untrained": layout is not None,
        "input_size": models[0].info.input_size,
        "mirror": mirror,
        "device": device,
        "compiled": compiled,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "pictures": len(pictures),
        "rounds": rounds,
        "max_objects": max_objects,
        "objects_per_picture": found / (len(pictures) * rounds),
        "memory_mib": peak_memory_mib(device),
        "milliseconds": {way: _summary(stages) for way, stages in times.items()},
    }
    return BenchmarkResult("live", figures, [_table(figures)])


def _backbone(
    network: Backbone, size: int, device: torch.device, compiled: bool
) -> Callable[[], dict[str, float]]:
    """Runs a backbone on one crop, as the estimator does: on a GPU recorded, in half precision."""
    crop = torch.rand(1, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    if device.type == "cuda":
        network, crop = deepcopy(network).half(), crop.half()
    pyramid = network.pyramid
    if compiled and device.type == "cuda":
        pyramid = torch.compile(pyramid, dynamic=False)
    run = Recorded(lambda pictures: tuple(pyramid(pictures)), device)

    def once() -> dict[str, float]:
        with torch.inference_mode():
            run(crop)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return {}

    return once


def _measure(
    estimator: PoseEstimator, image: np.ndarray, boxes: int
) -> tuple[dict[str, dict[str, float]], int]:
    """Seconds of each stage, by way, of one image; and how many objects are in it."""
    height, width = image.shape[:2]
    focal = FOCAL * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    camera = Camera(matrix, width, height)
    told: list[PoseResult] = []

    def look(**known: Any) -> dict[str, float]:
        told.append(estimator(image, camera, **known))
        return told[-1].stage_seconds

    seconds = {"whole image": _timed(look)}
    found = told[0].detections
    if found:
        expected = {found[0].category: [found[0].box]}
        seconds["followed"] = _timed(lambda: look(expected=expected))
        box = _inside(found[0].box, width, height)
        seconds["box given"] = _timed(lambda: look(boxes=box))
        room = np.array([width, height]) - box[0, 2:]
        corners = np.linspace(0, 1, boxes)[:, None] * room
        several = np.concatenate([corners, np.tile(box[:, 2:], (boxes, 1))], axis=1)
        seconds[f"{boxes} boxes given"] = _timed(lambda: look(boxes=several))
    return seconds, len(found)


def _timed(stages_of: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """Seconds of the stages that a call tells, and of all of it."""
    start = time.perf_counter()
    stages = stages_of()
    taken = time.perf_counter() - start
    return {**stages, "all": taken, "all but upload": taken - stages.get("upload", 0.0)}


def _inside(box: Box, width: int, height: int) -> np.ndarray:
    """The part of a box that lies in the image, ``(1, 4)``; the whole image if there is none."""
    low = np.clip(box[:2], 0, [width, height])
    high = np.clip(np.add(box[:2], box[2:]), 0, [width, height])
    size = high - low
    return np.array([[*low, *size] if size.min() >= 1 else [0, 0, width, height]], np.float64)


def _summary(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each stage, milliseconds."""
    summary = {}
    for stage in (*STAGES, *SUMS):
        values = [1e3 * run.get(stage, 0.0) for run in runs]
        median, late = np.quantile(values, [0.5, 0.99])
        summary[stage] = {"median": round(float(median), 2), "p99": round(float(late), 2)}
    return summary


def _table(figures: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for way, stages in figures["milliseconds"].items():
        cells = [f"{_short(stage['median'])} / {_short(stage['p99'])}" for stage in stages.values()]
        rows.append([way, *cells, 1e3 / stages["all"]["median"]])
    note = (
        f"{figures['backbone']}{', untrained' * figures['untrained']}, at {figures['input_size']} pixels, "
        f"on {figures['device']}, threads: {figures['threads']}; "
        f"{figures['pictures']} pictures, {figures['objects_per_picture']:.1f} objects in each; "
        f"{figures['memory_mib']:.0f} MiB at most; load {figures['load']}"
    )
    columns = ("median / 99 % [ms]", *STAGES, *SUMS, "images a second")
    return Table(f"Live poses of {', '.join(figures['models'])}", columns, rows, note)


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:.0f}"


def peak_memory_mib(device: str) -> float:
    """The most memory so far, of the GPU if it is one, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
