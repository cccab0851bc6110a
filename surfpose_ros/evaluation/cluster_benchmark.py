"""`surfpose benchmark cluster`: what handing captures to a Ray cluster costs, beside looping over them.

The same surfaces are made in one process and on the cluster. On a busy machine the wall's clock says
little; the processor's time in the work, and the caller's beside it, say what the cluster adds.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.fan_out import FanOut, RayCluster, in_process
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.reconstruct import ReconstructSettings
from surfpose_ros.video.capture import find_captures


def run(
    captures: Annotated[list[Path], typer.Argument(help="Capture folders, or folders of captures.")],
    ray: Annotated[str, typer.Option(help="Ray cluster: local, auto, or host:port.")] = "local",
    resolution: Annotated[int, typer.Option(min=40, help="Of the carving; small for a quick run.")] = 160,
    image_size: Annotated[int, typer.Option(min=96, help="Of the crops, pixels; small likewise.")] = 448,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Time of both ways, and whether their files are the same."""
    folders = find_captures(captures)
    settings = ReconstructSettings(resolution=resolution, image_size=image_size)
    start = time.perf_counter()
    cluster = RayCluster(ray)
    figures: dict[str, Any] = {"captures": len(folders), "load": round(os.getloadavg()[0], 1)}
    figures["connect_s"] = time.perf_counter() - start
    rows: list[list[Cell]] = []
    files = []
    with tempfile.TemporaryDirectory(prefix="surfpose-cluster-") as work:
        for name, fan_out in (("one process", in_process), ("cluster", cluster)):
            out, spent = Path(work, name), _Spent(fan_out)
            wall, own = time.perf_counter(), time.process_time()
            report = reconstruct_captures(folders, out, settings, progress=progress, fan_out=spent)
            wall, own = time.perf_counter() - wall, time.process_time() - own
            beside = own - spent.seconds if fan_out is in_process else own
            figures[name] = {"wall_s": wall, "work_cpu_s": spent.seconds, "caller_cpu_s": beside}
            rows.append([name, wall, spent.seconds, beside, len(report.made)])
            files.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    figures["same_files"] = files[0] == files[1]
    columns = ("", "wall [s]", "CPU in the work [s]", "CPU of the caller beside it [s]", "surfaces")
    same = "the same to the byte" if figures["same_files"] else "NOT the same"
    note = f"files: {same}; connecting took {figures['connect_s']:.1f} s; load {figures['load']}"
    return BenchmarkResult("cluster", figures, [Table(f"{len(folders)} captures", columns, rows, note)])


class _Spent:
    """A `FanOut` through another that adds up the processor's time in the function."""

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self.seconds = 0.0

    def __call__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield what the other does."""

        def timed(item: Any) -> tuple[Any, float]:
            start = time.process_time()
            try:
                result = function(item)
            except SurfposeError as error:
                result = SurfposeError(str(error))
            return result, time.process_time() - start

        for item, outcome in self._fan_out(timed, items):
            result, seconds = (outcome, 0.0) if isinstance(outcome, SurfposeError) else outcome
            self.seconds += seconds
            yield item, result
