"""Print the reference of the command line as Markdown, from the commands' own help."""

import sys

import typer
from typer.core import TyperGroup

from surfpose_ros.cli.benchmark import BENCHMARKS
from surfpose_ros.cli.main import COMMANDS, load_command

INTRODUCTION = """# Command line

Progress and errors go to stderr and results to stdout; with `--json` the result is one JSON object. The
exit code is 0 on success, 1 on an error, which is said in one line, and 2 on wrong usage.
"""


def rows(command: typer.core.TyperCommand) -> list[str]:
    """A line of the table for each argument and option."""
    lines = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        options = [*parameter.opts, *parameter.secondary_opts]
        name = "`, `".join(options) if parameter.opts[0].startswith("-") else parameter.name.upper()
        text = (getattr(parameter, "help", "") or "").replace("|", "\\|")
        default = parameter.default
        if parameter.required:
            text += " **Required.**"
        elif default not in (None, "", ()) and default is not False and not callable(default):
            text += f" Default: `{getattr(default, 'value', default)}`."
        lines.append(f"| `{name}` | {text.strip()} |")
    return lines


def section(name: str, command: typer.core.TyperCommand, level: int) -> str:
    """A command with what it does and its table, and below it its subcommands."""
    lines = [f"\n{'#' * level} surfpose {name}\n", (command.help or "").strip(), ""]
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        subcommands = [(key, command.get_command(context, key)) for key in command.list_commands(context)]
        return "\n".join(lines) + "\n".join(
            section(f"{name} {key}", sub, level + 1) for key, sub in subcommands
        )
    return "\n".join([*lines, "| argument, option | |", "|---|---|", *rows(command)])


def main() -> None:
    """Print the page."""
    sys.argv += BENCHMARKS  # a benchmark's options are loaded only where the command line names it
    print(INTRODUCTION)
    for name in COMMANDS:
        print(section(name, load_command(name), level=2))


if __name__ == "__main__":
    main()
