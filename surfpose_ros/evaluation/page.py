"""`surfpose benchmark page`: the results in a folder as one Markdown page, with machine and command.

Published figures of others come from a YAML file with their sources, and are marked so.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult, write_text
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.progress import Progress, silent

_HEAD = """# Benchmarks

Made by `make benchmarks`, or by the command under each table; nothing here is typed in by hand. `surfpose
benchmark compare docs/benchmarks/results NEW` says what moved since.
"""


def run(
    results: Annotated[Path, typer.Option(help="Folder of benchmark results (JSON).")],
    out: Annotated[Path, typer.Option("--out", help="The page to write (.md).")],
    published: Annotated[Path | None, typer.Option(help="Figures of others, with sources (YAML).")] = None,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Write the page."""
    files = sorted(results.glob("*.json"))
    if not files:
        raise SurfposeError(f"{results}: no results; run benchmarks with --json {results}/NAME.json")
    sections = [_HEAD]
    for done, file in enumerate(files, start=1):
        sections.append(_section(file))
        progress("page", done, len(files))
    if published:
        sections.append(_published(published))
    write_text(out, "\n".join(sections))
    rows = [(file.stem,) for file in files]
    return BenchmarkResult("page", {"page": str(out)}, [Table(f"{out} holds", ("results",), rows)])


def _section(file: Path) -> str:
    content = read_results(file)
    lines = [f"## {file.stem.replace('_', ' ').replace('-', ' ').capitalize()}\n"]
    for entry in content["tables"]:
        table = Table(**entry)
        lines.append(f"**{table.title}**\n\n{table.markdown()}\n")
        if table.note:
            lines.append(f"{table.note}\n")
    machine = ", ".join(f"{key} {value}" for key, value in content["machine"].items())
    lines.append(f"```\n{content['command']}\n```\n\n<sub>{machine}</sub>\n")
    return "\n".join(lines)


def read_results(file: Path) -> dict[str, Any]:
    """One file of results, with the fields that the page needs.

    Raises:
        SurfposeError: unreadable, or not written by a benchmark's --json.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SurfposeError(f"{file}: cannot be read as benchmark results ({error})") from error
    if not isinstance(content, dict) or not {"tables", "machine", "command"} <= set(content):
        raise SurfposeError(f"{file}: no benchmark results with tables; make them again with --json")
    return content


def _published(path: Path) -> str:
    try:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables = [
            (
                Table(str(g["title"]), tuple(g["columns"]), [tuple(row) for row in g["rows"]]),
                str(g["source"]),
            )
            for g in groups["tables"]
        ]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SurfposeError(f"{path}: not a list of published tables ({reason})") from error
    lines = ["## As published by others\n", "Not measured by us; each as its authors state it.\n"]
    for table, source in tables:
        lines.append(f"**{table.title}**\n\n{table.markdown()}\n\n{source}\n")
    return "\n".join(lines)
