"""`surfpose`: loads only the subcommand that is called; turns errors into one line and an exit code."""

import importlib
import os
import platform
import re
import sys
from importlib import metadata
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from surfpose_ros import __version__
from surfpose_ros.errors import SurfposeError
from surfpose_ros.progress import Cancelled

# Each subcommand lives in cli/<name>.py (a trailing underscore where Python reserves the word), as a
# typer app named `app`.
COMMANDS = {
    "simulate": "Render captures of parametric objects or meshes, with ground truth.",
    "import": "Turn pictures into captures: a labelled set, or folders of one object.",
    "reconstruct": "Turn captures into surfaces: cameras, masks, mesh, features.",
    "align": "Bring all surfaces of a category into one canonical frame.",
    "train": "Learn a category model from aligned surfaces.",
    "retrain": "From captures to a category model: reconstruct, align, train.",
    "estimate": "Find the objects of a category in images and say how they are turned.",
    "evaluate": "Measure an alignment or a model against a labels CSV.",
    "benchmark": "Run a named benchmark and print its table.",
    "demo": "The whole way on simulated mugs, ending in a report.",
    "doctor": "Check this machine: ROS, GPU, backbones, models, DDS.",
}


COMPLETING = "_SURFPOSE_COMPLETE"


class LazyGroup(TyperGroup):
    """Imports a subcommand's module only when it is called: PyTorch alone takes seconds."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, without importing anything."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The subcommand, imported now; only its name and summary where help is asked for."""
        if cmd_name not in COMMANDS:
            return None
        # A shell that completes calls with no words.
        called = len(sys.argv) > 1 or COMPLETING in os.environ
        if "--help" in sys.argv[1:2] or "-h" in sys.argv[1:2] or not called:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        return load_command(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; Ctrl-C cancels it as a ROS node would."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Cancelled from None


def load_command(name: str) -> Any:
    """Import a subcommand."""
    module = "import_" if name == "import" else name
    app = importlib.import_module(f"surfpose_ros.cli.{module}").app
    command = typer.main.get_command(app)
    command.name = name
    # Shell completion is installed for `surfpose` as a whole.
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    _let_help_wrap(command)
    return command


def _let_help_wrap(command: Any) -> None:
    """Join the lines of each paragraph of the help, so that it wraps at the terminal's width alone."""
    command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", command.help or "")
    for subcommand in getattr(command, "commands", {}).values():
        _let_help_wrap(subcommand)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        ros = f"{os.environ.get('ROS_DISTRO', 'from PyPI')} (rclpy {_version('rclpy')})"
        typer.echo(f"surfpose {__version__}")
        typer.echo(f"Python {platform.python_version()}, torch {_version('torch')}, ROS 2 {ros}")
        raise typer.Exit


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@app.callback()
def surfpose(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the versions that matter."
    ),
) -> None:
    """Teach a robot the 6D pose of a category of objects from plain videos, and use it live."""


def main() -> None:
    """Run the command line: exit 0 on success, 1 on an error said in one line, 2 on wrong usage."""
    try:
        app(prog_name="surfpose")
    except SurfposeError as error:
        typer.echo(f"surfpose: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written
        if error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"surfpose: {where}{error.strerror.lower()}", err=True)
        sys.exit(1)
    except Cancelled:
        typer.echo("surfpose: stopped; finished steps are kept, run it again to go on", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
