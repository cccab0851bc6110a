"""`surfpose benchmark NAME`: the registry. A benchmark is a function whose parameters become options.

To add one: write `run(..., progress: Progress) -> BenchmarkResult` with every other parameter annotated
by a `typer.Option` or `typer.Argument`, and name it in `BENCHMARKS`. The output options are added here.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from surfpose_ros.cli.console import progress_bars
from surfpose_ros.cli.outputs import STDOUT, CsvFile, HtmlFile, JsonFile, LatexFile, publish
from surfpose_ros.evaluation.benchmark import BenchmarkResult

# name: (module whose `run` it is, one line of help)
BENCHMARKS = {
    "alignment": (
        "surfpose_ros.evaluation.alignment_benchmark",
        "Alignment against comparators and ablations.",
    ),
    "surfaces": (
        "surfpose_ros.evaluation.surfaces_benchmark",
        "Rendered captures of meshes to surfaces, against the truth.",
    ),
    "live": (
        "surfpose_ros.evaluation.live_benchmark",
        "Time from an image to its poses, stage by stage.",
    ),
    "pose": (
        "surfpose_ros.evaluation.pose_benchmark",
        "Ways to a rotation from one model: ours, and what others would do.",
    ),
    "train": (
        "surfpose_ros.evaluation.train_benchmark",
        "Accuracy and training time by the number of objects learnt from.",
    ),
    "growth": (
        "surfpose_ros.evaluation.growth_benchmark",
        "Time and memory against videos, vertices, objects and categories.",
    ),
    "throughput": (
        "surfpose_ros.evaluation.throughput_benchmark",
        "Many decoded videos to surfaces, in several processes.",
    ),
    "cluster": (
        "surfpose_ros.evaluation.cluster_benchmark",
        "Surfaces on a Ray cluster against one process.",
    ),
    "published-alignment": (
        "surfpose_ros.evaluation.published_alignment",
        "Score the paper's released alignments.",
    ),
    "paper-alignment": (
        "surfpose_ros.evaluation.paper_alignment",
        "Alignment of CO3D as the paper does, ours beside theirs.",
    ),
    "paper-wild": (
        "surfpose_ros.evaluation.paper_wild",
        "PASCAL3D+ and ObjectNet3D as the paper does.",
    ),
    "make-cad": (
        "surfpose_ros.evaluation.make_cad",
        "Render meshes on a turntable and make their surfaces.",
    ),
    "make-mini": (
        "surfpose_ros.evaluation.make_mini",
        "Render the mini benchmark's captures and photos.",
    ),
    "mini": ("surfpose_ros.evaluation.mini", "Learn and evaluate on the mini benchmark."),
    "page": ("surfpose_ros.evaluation.page", "All results of a folder as one Markdown page."),
    "compare": ("surfpose_ros.evaluation.compare", "What moved between two sets of results."),
}

# Of every benchmark, beside its own options.
_OUTPUTS = {"json_file": JsonFile, "csv_file": CsvFile, "latex_file": LatexFile, "html_file": HtmlFile}


class BenchmarkGroup(TyperGroup):
    """Imports a benchmark's module only when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, without importing anything."""
        return list(BENCHMARKS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The benchmark as a command; only its name and summary where the group's help is asked for."""
        if cmd_name not in BENCHMARKS:
            return None
        module, summary = BENCHMARKS[cmd_name]
        if cmd_name not in sys.argv:
            return TyperCommand(cmd_name, help=summary)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(help=summary)(as_command(importlib.import_module(module).run))
        command = typer.main.get_command(single)
        command.name = cmd_name
        return command


app = typer.Typer(cls=BenchmarkGroup, no_args_is_help=True, add_completion=False)


@app.callback()
def benchmark() -> None:
    """Run a named benchmark and print its table."""


def as_command(run: Callable[..., BenchmarkResult]) -> Callable[..., None]:
    """`run` with its `progress` filled in and the output options added."""

    @functools.wraps(run)
    def command(**options: Any) -> None:
        outputs: dict[str, Path | None] = {name: options.pop(name) for name in _OUTPUTS}
        with progress_bars(quiet=outputs["json_file"] == STDOUT) as progress:
            result = run(**options, progress=progress)
        publish(result, **outputs)

    own = [p for p in inspect.signature(run).parameters.values() if p.name != "progress"]
    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _OUTPUTS.items()
    ]
    command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*own, *added]}
    del command.__wrapped__
    return command
