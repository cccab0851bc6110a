"""`surfpose benchmark make-mini`: a small benchmark that anybody can make again, picture by picture.

Parametric objects, rendered with fixed seeds. Of each category some objects are recorded on a turntable, to
learn from; photos in the wild show the others, in clutter and partly hidden, with their whole truth.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.files import read_json, write_json
from surfpose_ros.progress import Progress, silent
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import CATEGORIES, make_object
from surfpose_ros.simulation.scene_set import simulate_scenes
from surfpose_ros.simulation.scenes import SceneSettings
from surfpose_ros.simulation.turntable import TurntableSettings

FORMAT_VERSION = 1
DESCRIPTION = "mini.json"
SEED = 7
OBJECTS = 12
TRAINING_OBJECTS = 8
WIDTH, HEIGHT = 320, 240


def run(
    out: Annotated[Path, typer.Option("--out", help="Folder for the benchmark.")],
    views: Annotated[int, typer.Option(min=8, help="Frames of each training capture.")] = 24,
    photos: Annotated[int, typer.Option(min=4, help="Photos in the wild of each category.")] = 40,
    category: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Render the captures to learn from and the photos to be judged by."""
    chosen = category or sorted(CATEGORIES)
    options = CaptureOptions(views=views, turntable=TurntableSettings(width=WIDTH, height=HEIGHT))
    scenes = SceneSettings(width=WIDTH, height=HEIGHT)
    for name in chosen:
        training, unseen = range(TRAINING_OBJECTS), range(TRAINING_OBJECTS, OBJECTS)

        def named(stage: str, done: int, total: int, note: str = "", of: str = name) -> None:
            progress(f"{of} {stage}", done, total, note)

        simulate_captures(
            [partial(make_object, name, number) for number in training],
            [f"{name}_{number:03d}" for number in training],
            out / "captures" / name,
            SEED,
            options,
            progress=named,
        )
        makers = [partial(make_object, name, number) for number in unseen]
        simulate_scenes(makers, out / "photos" / name, photos, SEED, scenes, progress=named)
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "categories": list(chosen),
        "seed": SEED,
        "training_objects": TRAINING_OBJECTS,
        "unseen_objects": OBJECTS - TRAINING_OBJECTS,
        "views": views,
        "photos": photos,
    }
    write_json(out / DESCRIPTION, content)
    rows = [(name, TRAINING_OBJECTS, views, OBJECTS - TRAINING_OBJECTS, photos) for name in chosen]
    columns = ("category", "captures", "frames each", "unseen objects", "photos")
    return BenchmarkResult("make-mini", content, [Table(f"Mini benchmark in {out}", columns, rows)])


def read_description(folder: Path) -> dict[str, Any]:
    """What a mini benchmark on disk consists of.

    Raises:
        SurfposeError: there is none; says how to make one.
    """
    if not (folder / DESCRIPTION).exists():
        raise SurfposeError(
            f"{folder}: no mini benchmark; make it: surfpose benchmark make-mini --out {folder}"
        )
    return read_json(folder / DESCRIPTION, kind="mini benchmark", version=FORMAT_VERSION)
