"""docs/ros_api.md against the running nodes."""

import re
from pathlib import Path

import pytest

from surfpose_ros.nodes import describe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ros_api.md"
# What every node has: parameters, logs, types, the clock.
COMMON = re.compile(
    r"/(rosout|parameter_events|diagnostics|clock)$|parameter|type_description|change_state|get_state"
    r"|get_available|get_transition_graph|transition_event"
)


def documented(node: str) -> dict[str, set[tuple[str, str]]]:
    """Topics and services that the node's section lists, as (full name, type), by in, out and service."""
    section = re.search(rf"^## {node}\n(.*?)(?=^## )", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
    found: dict[str, set[tuple[str, str]]] = {"in": set(), "out": set(), "service": set()}
    for line in section.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[3] in ("in", "out"):
            found[cells[3]].add((full_name(cells[0], node), cells[1]))
        elif len(cells) == 3 and "/srv/" in cells[1]:
            found["service"].add((full_name(cells[0], node), cells[1]))
    return found


def full_name(name: str, node: str) -> str:
    return name.replace("~", f"/{node}") if name[0] in "~/" else f"/{name}"


def running(talker, node: str) -> dict[str, set[tuple[str, str]]]:
    ask = talker.node
    lists = {
        "in": ask.get_subscriber_names_and_types_by_node(node, "/"),
        "out": ask.get_publisher_names_and_types_by_node(node, "/"),
        "service": ask.get_service_names_and_types_by_node(node, "/"),
    }
    return {
        kind: {(name, types[0]) for name, types in pairs if not COMMON.search(name)}
        for kind, pairs in lists.items()
    }


def test_every_topic_and_service_is_documented_with_its_type_and_is_there(talker, start, untrained_model):
    pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    start("pose_node", models=[str(untrained_model())], use_depth=True, use_detections_2d=True)
    start("turntable_sim_node", width=64, height=64, rate=1.0)
    start("capture_node")
    start("retrain_node")
    for node in describe.NODES:
        page = documented(node)
        assert page["out"]
        talker.until(
            lambda node=node, page=page: (
                node in talker.node.get_node_names() and running(talker, node) == page
            ),
            f"{node} to have what the page says: {page}",
        )
