"""What every measurement offers: tables in the terminal, and its figures as files."""

from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.cli.console import err, out
from surfpose_ros.evaluation.benchmark import BenchmarkResult, as_json, write_result

STDOUT = Path("-")

JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Figures as JSON; - for stdout.")
]
CsvFile = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Tables as CSV.")]
LatexFile = Annotated[Path | None, typer.Option("--latex", metavar="FILE", help="Rows for a paper.")]
HtmlFile = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="One self-contained page.")]


def publish(
    result: BenchmarkResult,
    json_file: Path | None = None,
    csv_file: Path | None = None,
    latex_file: Path | None = None,
    html_file: Path | None = None,
) -> None:
    """Tables to the terminal, or JSON alone where it was asked for on stdout; then the files."""
    if json_file == STDOUT:
        typer.echo(as_json(result))
        json_file = None
    else:
        for table in result.tables:
            out.print(table.rich())
    write_result(result, json_file, csv_file, latex_file, html_file)
    for path in (json_file, csv_file, latex_file, html_file):
        if path:
            err.print(f"wrote {path}", soft_wrap=True)
