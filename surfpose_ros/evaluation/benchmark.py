"""What a benchmark gives back: figures for machines, tables and pictures for people, and where it ran."""

import datetime
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros import __version__
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.report import Report
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.files import atomic_file, write_json
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.video.pictures import save_picture


@dataclass(frozen=True)
class BenchmarkResult:
    """The outcome of one benchmark.

    Attributes:
        name: as on the command line.
        figures: plain numbers, strings, lists and dictionaries, as they go into the JSON file.
        tables: for the terminal, CSV, LaTeX and the report.
        pictures: caption to ``(H, W, 3)`` uint8 RGB, for the report.
        histograms: caption to named sets of errors in degrees, for the report.
        meshes: caption to named meshes in one frame, for the report.
    """

    name: str
    figures: Mapping[str, Any]
    tables: Sequence[Table] = ()
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    histograms: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    meshes: Mapping[str, Mapping[str, Mesh]] = field(default_factory=dict)

    def content(self, machine: Mapping[str, str]) -> dict[str, Any]:
        """What the JSON file holds: the figures, the tables, and what made them where."""
        return {
            "benchmark": self.name,
            "command": shlex.join(["surfpose", *sys.argv[1:]]),
            "machine": dict(machine),
            **self.figures,
            "tables": [asdict(table) for table in self.tables],
        }


def machine() -> dict[str, str]:
    """Where and when: processor, cores, GPU, versions, date and commit; no figure means much without."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "cores": str(torch.get_num_threads()),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "surfpose_ros": __version__,
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
    }


def write_result(
    result: BenchmarkResult,
    json_path: Path | None = None,
    csv_path: Path | None = None,
    latex_path: Path | None = None,
    html_path: Path | None = None,
) -> None:
    """Write the result in every form that is asked for, each file whole or not at all."""
    where = machine()
    if json_path:
        write_json(json_path, result.content(where))
    if csv_path:
        write_text(csv_path, "\n".join(table.csv() for table in result.tables))
    if latex_path:
        write_text(latex_path, "\n".join(f"% {t.title}\n{t.latex()}" for t in result.tables))
    if html_path:
        report = Report(result.name, subtitle=", ".join(f"{k} {v}" for k, v in where.items()))
        for table in result.tables:
            report.add_table(table)
        for caption, picture in result.pictures.items():
            report.add_picture(picture, caption)
        for caption, values in result.histograms.items():
            report.add_histogram(values, caption, "degrees")
        for caption, meshes in result.meshes.items():
            report.add_meshes(meshes, f"{caption}, one upon the other")
            report.add_meshes(meshes, f"{caption}, side by side", apart=True)
        report.write(html_path)


def as_json(result: BenchmarkResult) -> str:
    """The result as one JSON object."""
    return json.dumps(result.content(machine()), indent=2, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write an ``(H, W, 3)`` uint8 RGB picture as the path's suffix says, whole or not at all."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise SurfposeError(f"{path}: pictures are written as .png or .jpg")
    save_picture(path, image)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
