"""`surfpose benchmark live`: how long one image takes from decoded pixels to poses, stage by stage.

Three ways, image by image in turn, so that a busy machine slows all alike: the whole image searched; one
object followed, its box known roughly from the image before, as in pose_node; and its box given exactly.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from surfpose_ros.category.model import load_category_models
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.samples import read_picture
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.evenly import evenly
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.detection import PoseResult
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.looking import Box
from surfpose_ros.progress import Progress, silent
from surfpose_ros.video.import_pictures import picture_files

STAGES = ("localise", "network", "pose")
WAYS = ("whole image", "followed", "box given")
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
    compiled: Annotated[bool, typer.Option(help="Compile the search on a GPU, as pose_node may.")] = False,
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
    estimator = PoseEstimator(
        models, EstimatorSettings(threshold=0.0, max_objects=max_objects, compiled=compiled)
    )
    times: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    found = 0
    for number, index in enumerate([0] * WARM_UP + list(range(len(pictures))) * rounds):
        seconds, objects = _measure(estimator, pictures[index])
        if number >= WARM_UP:
            found += objects
            for way, stages in seconds.items():
                times[way].append(stages)
        progress("pictures", number + 1, WARM_UP + len(pictures) * rounds)
    if not found:
        raise SurfposeError(f"{images}: nothing in the pictures looks like {models[0].name} at all")
    figures: dict[str, Any] = {
        "models": [loaded.name for loaded in models],
        "backbone": models[0].info.backbone,
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


def _measure(estimator: PoseEstimator, image: np.ndarray) -> tuple[dict[str, dict[str, float]], int]:
    """Seconds of each stage, by way, of one image; and how many objects are in it."""
    height, width = image.shape[:2]
    focal = FOCAL * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    camera = Camera(matrix, width, height)
    seconds = {}
    result, seconds["whole image"] = _timed(lambda: estimator(image, camera))
    if result.detections:
        best = result.detections[0]
        expected = {best.category: [best.box]}
        _, seconds["followed"] = _timed(lambda: estimator(image, camera, expected=expected))
        inside = _inside(best.box, width, height)
        _, seconds["box given"] = _timed(lambda: estimator(image, camera, inside))
    return seconds, len(result.detections)


def _timed(estimate: Callable[[], PoseResult]) -> tuple[PoseResult, dict[str, float]]:
    start = time.perf_counter()
    result = estimate()
    return result, {**result.stage_seconds, "all": time.perf_counter() - start}


def _inside(box: Box, width: int, height: int) -> np.ndarray:
    """The part of a box that lies in the image, ``(1, 4)``; the whole image if there is none."""
    low = np.clip(box[:2], 0, [width, height])
    high = np.clip(np.add(box[:2], box[2:]), 0, [width, height])
    size = high - low
    return np.array([[*low, *size] if size.min() >= 1 else [0, 0, width, height]], np.float64)


def _summary(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each stage, milliseconds."""
    summary = {}
    for stage in (*STAGES, "all"):
        values = [1e3 * run.get(stage, 0.0) for run in runs]
        median, late = np.quantile(values, [0.5, 0.99])
        summary[stage] = {"median": round(float(median), 2), "p99": round(float(late), 2)}
    return summary


def _table(figures: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for way, stages in figures["milliseconds"].items():
        cells = [f"{stage['median']:.0f} / {stage['p99']:.0f}" for stage in stages.values()]
        rows.append([way, *cells, 1e3 / stages["all"]["median"]])
    note = (
        f"{figures['backbone']} on {figures['device']}, threads: {figures['threads']}; "
        f"{figures['pictures']} pictures, {figures['objects_per_picture']:.1f} objects in each; "
        f"{figures['memory_mib']:.0f} MiB at most; load {figures['load']}"
    )
    columns = ("median / 99 % [ms]", *STAGES, "all", "images a second")
    return Table(f"Live poses of {', '.join(figures['models'])}", columns, rows, note)


def peak_memory_mib(device: str) -> float:
    """The most memory so far, of the GPU if it is one, else of the process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
