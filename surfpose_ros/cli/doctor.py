"""`surfpose doctor`: look at this machine and say what works, what does not, and what to do."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from surfpose_ros import __version__
from surfpose_ros.cli.console import JsonOption, out, print_json
from surfpose_ros.doctor.check import Check
from surfpose_ros.doctor.machine import check_machine
from surfpose_ros.doctor.ros import check_ros

app = typer.Typer()
SIGNS = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


@app.command()
def doctor(
    model: Annotated[
        list[Path] | None, typer.Option(help="Model folder to check; those that ship where none is given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine: ROS, GPU, backbones, models, DDS. Exit code 1 if a required part is broken."""
    checks = check_machine()
    if not any(check.state == "problem" for check in checks):  # the rest imports those packages
        from surfpose_ros.doctor.learning import check_backbones, check_models

        checks += [*check_ros(), *check_backbones(), *check_models(model or ())]
    broken = any(check.state == "problem" for check in checks)
    if as_json:
        content = {"version": __version__, "ok": not broken, "checks": [asdict(check) for check in checks]}
        print_json(content)
    else:
        show(checks)
    if broken:
        raise typer.Exit(1)


def show(checks: list[Check]) -> None:
    """One line a check, and below it what to do."""
    width = max(len(check.name) for check in checks)
    for check in checks:
        out.print(
            f"{SIGNS[check.state]}  {escape(check.name):<{width}}  {escape(check.found)}",
            soft_wrap=True,
            markup=True,
        )
        if check.remedy:
            out.print(f"{'':<{width + 11}}[bold]-> {escape(check.remedy)}[/]", soft_wrap=True, markup=True)
