"""`surfpose benchmark make-cad`: meshes of known pose, rendered on a turntable, to surfaces to align.

Each mesh is a task of its own, so that all cores of a machine work; what is there already is kept.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from surfpose_ros.backbones.registry import DEFAULT_BACKBONE
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.evenly import evenly
from surfpose_ros.progress import Progress, silent
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import load_object
from surfpose_ros.simulation.turntable import TurntableSettings
from surfpose_ros.surface.batch import reconstruct_captures

ELEVATIONS = (0.1745, 0.5236, 0.9599)  # 10, 30 and 55 degrees, one a turn
SEED = 0


def run(
    meshes: Annotated[Path, typer.Option(help="Folder with a folder of .glb files for each category.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for captures/ and surfaces/.")],
    category: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=2, help="At most so many evenly chosen meshes of each.")] = 1000,
    views: Annotated[int, typer.Option(min=6, help="Frames of each capture.")] = 48,
    backbone: Annotated[
        list[str] | None, typer.Option(help="For the features; one folder of surfaces each.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    device: Annotated[str, typer.Option(help="Of the backbone: cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Render and reconstruct every mesh; OUT/captures/NAME/CATEGORY/truth.json tells how each is turned."""
    backbones = backbone or [DEFAULT_BACKBONE]
    chosen = {name: _evenly(meshes / name, limit) for name in category or _categories(meshes)}
    tasks = [(name, path) for name, paths in chosen.items() for path in paths]
    failed: dict[str, str] = {}
    # Forked processes could not use the GPU.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        futures = {
            pool.submit(_make, name, path, out, views, backbones, device): path for name, path in tasks
        }
        for done, future in enumerate(as_completed(futures), start=1):
            failed |= {str(futures[future]): reason for reason in future.result()}
            progress("meshes", done, len(tasks), futures[future].stem)
    rows = [(name, len(paths)) for name, paths in chosen.items()]
    figures = {"meshes": dict(rows), "views": views, "backbones": list(backbones), "failed": failed}
    tables = [Table(f"Surfaces in {out}", ("category", "meshes"), rows)]
    if failed:
        tables.append(Table("Failed", ("mesh", "because"), list(failed.items())))
    return BenchmarkResult("make-cad", figures, tables)


def _make(
    category: str, path: Path, out: Path, views: int, backbones: Sequence[str], device: str
) -> list[str]:
    """Render one mesh and make its surfaces; why not, where it fails."""
    options = CaptureOptions(views=views, turntable=TurntableSettings(elevations=ELEVATIONS))
    maker = partial(load_object, path, category)
    # A folder of its own, since each holds one truth.json.
    folder = out / "captures" / path.stem / category
    captures = simulate_captures([maker], [path.stem], folder, SEED, options)
    failed: list[str] = []
    for backbone in backbones:
        surfaces = out / "surfaces" / backbone / category
        report = reconstruct_captures(captures, surfaces, backbone_name=backbone, device=device)
        failed += report.failed.values()
    return failed


def _categories(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        raise SurfposeError(f"{folder}: no folders of meshes here")
    return names


def _evenly(folder: Path, limit: int) -> list[Path]:
    paths = sorted(folder.glob("*.glb"))
    if not paths:
        raise SurfposeError(f"{folder}: no meshes (*.glb) here")
    return evenly(paths, limit)
