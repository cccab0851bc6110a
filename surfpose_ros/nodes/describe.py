"""Writes what can be written about the nodes from their code: config/<node>.yaml and the tables of
parameters in docs/ros_api.md. Run ``python -m surfpose_ros.nodes.describe`` after changing a parameter.
"""

import importlib
import re
import textwrap
from pathlib import Path
from typing import Any

from surfpose_ros.nodes.parameters import Parameter

NODES = ("pose_node", "capture_node", "retrain_node", "turntable_sim_node")


def parameters_of(node: str) -> tuple[Parameter, ...]:
    """The parameters of one of `NODES`."""
    return importlib.import_module(f"surfpose_ros.nodes.{node}").PARAMETERS


def parameters_yaml(node: str) -> str:
    """The content of config/<node>.yaml: every parameter with its default and a comment."""
    lines = [f"# All parameters of {node} with their defaults.", f"/**/{node}:", "  ros__parameters:"]
    for parameter in parameters_of(node):
        comment = " ".join(filter(None, (parameter.description, _limits(parameter))))
        comment += " Can be changed while running." if parameter.live else ""
        lines += textwrap.wrap(comment, 100, initial_indent="    # ", subsequent_indent="    # ")
        lines.append(f"    {parameter.name}: {_yaml(parameter.default)}")
    return "\n".join(lines) + "\n"


def parameters_table(node: str) -> str:
    """The same as a Markdown table."""
    lines = ["| parameter | default | live | what |", "|---|---|---|---|"]
    for parameter in parameters_of(node):
        what = " ".join(filter(None, (parameter.description, _limits(parameter)))).replace("|", "\\|")
        live = "yes" if parameter.live else ""
        lines.append(f"| `{parameter.name}` | `{_yaml(parameter.default)}` | {live} | {what} |")
    return "\n".join(lines) + "\n"


def with_tables(page: str) -> str:
    """A page whose tables between ``<!-- parameters: <node> -->`` and ``<!-- end -->`` are made anew."""

    def fill(match: re.Match) -> str:
        return f"{match[1]}\n{parameters_table(match[2])}{match[3]}"

    return re.sub(r"(<!-- parameters: (\w+) -->)\n.*?(<!-- end -->)", fill, page, flags=re.DOTALL)


def _limits(parameter: Parameter) -> str:
    if parameter.choices:
        return f"One of {', '.join(choice or 'nothing' for choice in parameter.choices)}."
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.low is not None:
        return f"{parameter.low:.9g} to {parameter.high:.9g}{unit}."
    return f"In {parameter.unit}." if parameter.unit else ""


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return repr(value)


def main() -> None:
    """Write all, in the source folder that this module was imported from."""
    root = Path(__file__).resolve().parents[2]
    for node in NODES:
        defaults = root / "config" / f"{node}.yaml"
        defaults.write_text(parameters_yaml(node), encoding="utf-8")
        print(defaults)
    page = root / "docs" / "ros_api.md"
    if page.exists():
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(page)


if __name__ == "__main__":
    main()
