"""What the subcommands share: progress bars for people, one JSON object for machines."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from surfpose_ros.progress import Progress, silent

# Results go to stdout; progress, logs and errors to stderr, so that `--json | jq` works.
# Names and messages are no markup: "[sfm]" in one would vanish.
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

LINE_SECONDS = 10.0

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
JobsOption = Annotated[
    int, typer.Option(min=1, help="Processes for surfaces and pairs; each takes a core, and a gigabyte.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Spread the work over a Ray cluster: local (the cores of this machine), auto, or host:port.",
    ),
]


def print_json(content: dict[str, Any]) -> None:
    """Print `content` as one JSON object on stdout."""
    typer.echo(json.dumps(content, indent=2, allow_nan=False))


def _progress_lines() -> Progress:
    """A `Progress` for logs: a line when a stage begins and ends, and every `LINE_SECONDS` between."""
    told: dict[str, float] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if stage not in told or done == total or now - told[stage] > LINE_SECONDS:
            told[stage] = now
            err.print(f"{stage} {done}/{total} {note}".rstrip(), soft_wrap=True)

    return report


def counted(number: int, thing: str) -> str:
    """How many of them, as people say it: "1 capture", "2 captures"."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Progress]:
    """A `Progress` drawn as one bar a stage on stderr, as lines where that is a file; silent if `quiet`."""
    if quiet:
        yield silent
        return
    if not err.is_terminal:
        yield _progress_lines()
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=err) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield report
