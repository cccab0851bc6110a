"""`surfpose benchmark compare`: what moved between two sets of benchmark results.

Every number in the JSON files is compared under its path; where a better direction is known by the
number's name, a change beyond the tolerance is called better or worse.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.progress import Progress, track

# Beginnings of names whose numbers are better when larger, or smaller; anything else is left unjudged.
_LARGER = (
    "acc",
    "add",
    "auc",
    "iou",
    "found",
    "5deg",
    "10deg",
    "at_50",
    "precision",
    "recall",
    "average_precision",
)
_SMALLER = (
    "median",
    "mean_deg",
    "flips",
    "off_deg",
    "error",
    "chamfer",
    "seconds",
    "p50",
    "p90",
    "p95",
    "p99",
)


def run(
    old: Annotated[Path, typer.Argument(help="JSON file, or a folder of them: the release's.")],
    new: Annotated[Path, typer.Argument(help="The same, newly made.")],
    tolerance: Annotated[float, typer.Option(min=0, help="Relative change that counts as none.")] = 0.01,
    fail_on_worse: Annotated[
        bool, typer.Option("--fail-on-worse", help="Exit with 1 if a figure became worse.")
    ] = False,
    *,
    progress: Progress,
) -> BenchmarkResult:
    """Say which figures moved, and whether for the better."""
    before, after = _results(old), _results(new)
    shared = [name for name in before if name in after]
    if not shared:
        raise SurfposeError(f"{old} and {new} have no benchmark in common; give results of the same ones")
    moved: list[dict[str, Any]] = []
    for name in track(shared, progress, "compare", len(shared)):
        moved += compare_figures(name, before[name], after[name], tolerance)
    worse = [change for change in moved if change["verdict"] == "worse"]
    if fail_on_worse and worse:
        first = worse[0]
        raise SurfposeError(
            f"{len(worse)} figure(s) became worse, first {first['figure']}: "
            f"{first['old']:g} to {first['new']:g}"
        )
    rows: list[tuple[Cell, ...]] = [
        (change["figure"], change["old"], change["new"], change["new"] - change["old"], change["verdict"])
        for change in sorted(moved, key=lambda change: change["verdict"] != "worse")
    ]
    gone = sorted(set(before) ^ set(after))
    note = f"{len(shared)} benchmark(s) compared" + (f"; only in one: {', '.join(gone)}" if gone else "")
    table = Table(
        "What moved" if rows else "Nothing moved", ("figure", "old", "new", "change", ""), rows, note, 3
    )
    return BenchmarkResult("compare", {"moved": moved, "worse": len(worse), "compared": shared}, [table])


def compare_figures(
    name: str, old: dict[str, Any], new: dict[str, Any], tolerance: float
) -> list[dict[str, Any]]:
    """Every number that changed by more than the relative tolerance, with a verdict."""
    before, after = dict(_numbers(old, name)), dict(_numbers(new, name))
    changes = []
    for path in before:
        if path not in after:
            continue
        was, became = before[path], after[path]
        if abs(became - was) > tolerance * max(abs(was), 1e-9):
            changes.append(
                {"figure": path, "old": was, "new": became, "verdict": _verdict(path, was, became)}
            )
    return changes


def _verdict(path: str, was: float, became: float) -> str:
    key = path.rpartition("/")[2]
    if key.startswith(_LARGER):
        return "better" if became > was else "worse"
    if key.startswith(_SMALLER):
        return "better" if became < was else "worse"
    return "changed"


def _numbers(content: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in ("machine", "format_version", "tables"):
                yield from _numbers(value, f"{path}/{key}")
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path, float(content)


def _results(path: Path) -> dict[str, dict[str, Any]]:
    """File name without suffix to content."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise SurfposeError(f"{path}: no JSON file of results in it")
    results = {}
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SurfposeError(f"{file}: cannot be read as benchmark results ({error})") from error
        if not isinstance(content, dict) or "benchmark" not in content:
            raise SurfposeError(f"{file}: no benchmark results (write them with --json)")
        results[str(content["benchmark"]) if not path.is_dir() else file.stem] = content
    return results
