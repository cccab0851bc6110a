"""`surfpose benchmark growth`: time and memory against the number of views, videos, vertices, objects, ...

Surfaces are measured on a simulated mug, alignment on made-up bodies with smooth features, the live path on
one picture and a model; each point in a process of its own, so that its memory is its own.
"""

import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import trimesh
import typer

from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, load_backbone
from surfpose_ros.category.model import load_category_model, share_backbones
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.charts import as_picture, growth
from surfpose_ros.evaluation.live_benchmark import peak_memory_mib
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.progress import Progress, silent
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable, record
from surfpose_ros.surface.features import view_features
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import Frame, ObjectVideo

SIZES = {
    "views": (24, 48, 96, 192),
    "videos": (5, 10, 20, 50, 100, 200),
    "vertices": (250, 500, 1000, 2000, 4000),
    "objects": (1, 2, 4, 8, 16, 32),
    "categories": (1, 2, 5, 10, 20),
    "together": (1, 2, 5, 10, 20),
}
NEED_MODEL = ("objects", "categories", "together")
FEW_VIDEOS = 6  # while vertices grow
DIMENSION = 576  # of the features, as the embedded backbone's
ROUNDS = 3  # of an image, after one to warm up

Figures = dict[str, float]


def run(
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Which to measure: {', '.join(SIZES)}; all if left out. "
            "'together' are categories that share a backbone."
        ),
    ] = None,
    most: Annotated[int, typer.Option(help="Larger sizes are left out.")] = 10_000,
    model: Annotated[
        Path | None, typer.Option(help="Category model, for the last three; else they are left out.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Seconds and peak memory of every size, as tables and plots."""
    chosen = axis or [name for name in SIZES if model or name not in NEED_MODEL]
    for name in chosen:
        if name not in SIZES:
            raise SurfposeError(f"--axis {name}: it is one of {', '.join(SIZES)}")
        if name in NEED_MODEL and not model:
            raise SurfposeError(f"--axis {name} needs --model, the folder of a category model")
    points = [(name, count) for name in chosen for count in SIZES[name] if count <= most]
    measured: dict[str, dict[int, Figures]] = {}
    # A process a point: the peak of memory never falls within one.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for done, (name, count) in enumerate(points):
            progress("growth", done, len(points), f"{count} {name}")
            point = pool.submit(_measure, name, count, model, device)
            measured.setdefault(name, {})[count] = point.result()
    progress("growth", len(points), len(points))
    figures = {
        "device": device,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "growth": measured,
    }
    tables = [_table(name, rows, device) for name, rows in measured.items()]
    return BenchmarkResult("growth", figures, tables, _pictures(measured, device))


def _measure(axis: str, count: int, model: Path | None, device: str) -> Figures:
    """Seconds (see `_clock`) in all and by stage, and the peak of memory, MiB."""
    if axis == "views":
        stages = _reconstruct(simulated_video(count), device)
    elif axis in ("videos", "vertices"):
        videos, vertices = (count, 500) if axis == "videos" else (FEW_VIDEOS, count)
        stages = _align([made_up_surface(seed, vertices) for seed in range(videos)], device)
    else:
        assert model is not None
        objects, categories = (count, 1) if axis == "objects" else (1, count)
        stages = _look(model, objects, categories, axis == "together", device)
    return {**stages, "memory_mib": peak_memory_mib(device)}


def made_up_surface(seed: int, vertices: int, dimension: int = DIMENSION) -> Surface:
    """A bumpy body of about so many vertices with smooth features, in a random frame.

    Bodies of all seeds are of one category: their proportions differ by some per cent.
    """
    rng = np.random.default_rng(seed)
    directions = _even_directions(vertices)
    bumps = 0.4 * np.exp(-4 * (1 - directions @ [0.8, 0.2, 0.56])) - 0.2 * np.exp(
        -4 * (1 - directions @ [-0.5, 0.1, 0.86])
    )
    sizes = np.array([1.0, 0.55, 0.4]) * (1 + 0.05 * rng.normal(size=3))
    points = (1 + bumps[:, None]) * directions * sizes
    waves = np.random.default_rng(0)
    mean = np.sin(directions @ (1.5 * waves.normal(size=(3, dimension))) + waves.uniform(0, 6, dimension))
    views = mean[:, None] + 0.1 * rng.normal(size=(len(points), 4, dimension))
    features = (views / np.linalg.norm(views, axis=-1, keepdims=True)).astype(np.float16)
    hull = trimesh.Trimesh(points, trimesh.convex.convex_hull(directions).faces, process=False)
    frame = random_similarity(torch.Generator().manual_seed(seed), 0.5, 1.0).numpy()
    return Surface(
        name=f"body{seed:04d}",
        category="body",
        backbone="made_up",
        mesh=mesh_from_trimesh(hull).transformed(frame),
        features=features,
        feature_valid=np.ones(features.shape[:2], bool),
        views=[],
    )


def _even_directions(count: int) -> np.ndarray:
    """Unit vectors on a spiral from pole to pole, ``(count, 3)``."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    angle = np.pi * (3 - 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def _clock(device: str) -> float:
    """Seconds that the processor worked, whatever else it did; with a GPU, of the wall."""
    if not device.startswith("cuda"):
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _align(surfaces: Sequence[Surface], device: str) -> Figures:
    marks: dict[int, float] = {}

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        if stage == "align":
            marks[done] = _clock(device)

    align_surfaces(surfaces, AlignmentSettings(), progress, device)
    return {"pairs": marks[1] - marks[0], "together": marks[2] - marks[1], "all": marks[3] - marks[0]}


def simulated_video(views: int, seed: int = 0) -> ObjectVideo:
    """A mug on a turntable with true masks and poses."""
    turntable = Turntable(make_object("mug", seed))
    frames = [
        Frame(str(number), float(number), seen.image, turntable.camera, seen.mask, seen.camera_from_object)
        for number, (_, _, seen) in enumerate(record(turntable, views))
    ]
    return ObjectVideo("mug", "mug", frames, "dataset", metric=True)


def _reconstruct(video: ObjectVideo, device: str) -> Figures:
    """Of the second time: the first one warms up."""
    settings = ReconstructSettings()
    backbone = load_backbone(DEFAULT_BACKBONE, device)
    surface = reconstruct(video, backbone, settings)
    start = _clock(device)
    reconstruct(video, backbone, settings)
    done = _clock(device)
    poses = np.stack([view.camera_from_video for view in surface.views])
    size, kept = settings.image_size, settings.views_kept
    view_features(surface.mesh, video.frames, poses, backbone, size, kept)
    return {"features": _clock(device) - done, "all": done - start}


def _look(model: Path, objects: int, categories: int, together: bool, device: str) -> Figures:
    models = []
    for number in range(categories):
        loaded = load_category_model(model, device)
        models.append(replace(loaded, info=replace(loaded.info, name=f"{loaded.name}{number}")))
    if together:
        share_backbones([loaded.network for loaded in models])
    estimator = PoseEstimator(models, EstimatorSettings(threshold=0.0, max_objects=objects))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)
    boxes = np.concatenate([rng.uniform(0, [420, 260], (objects, 2)), np.full((objects, 2), 200.0)], axis=1)
    estimator(image, None, boxes)
    start = _clock(device)
    for _ in range(ROUNDS):
        estimator(image, None, boxes)
    return {"all": (_clock(device) - start) / ROUNDS}


def _unit(device: str) -> str:
    return "s" if device.startswith("cuda") else "CPU s"


def _table(axis: str, rows: Mapping[int, Figures], device: str) -> Table:
    stages = [name for name in next(iter(rows.values())) if name != "memory_mib"]
    exponents = _exponents(rows)
    cells: list[list[Cell]] = []
    for (count, row), exponent in zip(rows.items(), exponents, strict=True):
        cells.append([count, *(row[stage] for stage in stages), exponent, round(row["memory_mib"])])
    columns = (axis, *(f"{stage} [{_unit(device)}]" for stage in stages), "exponent", "memory [MiB]")
    note = "exponent: of the growth of all since the row above; 1 is in proportion"
    return Table(f"Growth with {axis}", columns, cells, note, digits=3)


def _exponents(rows: Mapping[int, Figures]) -> list[float | None]:
    """Of a power law through each row and the one before; None for the first."""
    times = np.log([max(row["all"], 1e-9) for row in rows.values()])
    return [None, *(np.diff(times) / np.diff(np.log(list(rows)))).tolist()]


def _pictures(measured: Mapping[str, Mapping[int, Figures]], device: str) -> dict[str, np.ndarray]:
    pictures = {}
    for axis, rows in measured.items():
        for key, unit in (("all", f"time, {_unit(device)}"), ("memory_mib", "memory, MiB")):
            figure = growth(axis, list(rows), [row[key] for row in rows.values()], unit)
            pictures[f"{unit} against {axis}"] = as_picture(figure)
    return pictures
