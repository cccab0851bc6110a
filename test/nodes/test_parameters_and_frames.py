"""The nodes' plumbing that needs no DDS: newest frame, camera_info, descriptions, launch files."""

import importlib.util
import json
import re
import threading
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS 2 here")
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from surfpose_ros.messages.poses import stamp_message
from surfpose_ros.nodes import describe
from surfpose_ros.nodes.camera_infos import CameraInfos
from surfpose_ros.nodes.newest_frame import NewestFrame
from surfpose_ros.nodes.parameters import Parameter
from surfpose_ros.nodes.raw_topics import RawMessage

ROOT = Path(__file__).resolve().parents[2]


def raw(role: str, stamp: int, kind: type = Image) -> RawMessage:
    data = serialize_message(kind(header=Header(stamp=stamp_message(stamp))))
    return RawMessage(role, f"/{role}", f"sensor_msgs/msg/{kind.__name__}", data, stamp)


def test_a_stamp_is_read_without_decoding_the_message():
    assert raw("image", 12_345_678_901).stamp == 12_345_678_901
    assert RawMessage("image", "/image", "sensor_msgs/msg/Image", b"\0\1", 5).stamp == 0


def test_only_the_newest_image_is_taken_and_the_others_are_counted():
    frames = NewestFrame()
    for stamp in (1, 2, 3):
        frames.put(raw("image", stamp))
    assert frames.take().image.stamp == 3
    assert frames.dropped == 2


def test_an_image_waits_for_its_partner_within_the_tolerance():
    frames = NewestFrame(["depth"], tolerance_s=0.01)
    frames.put(raw("image", 10**9))
    frames.put(raw("depth", 10**9 + 5 * 10**7))  # too far off
    frames.put(raw("image", 2 * 10**9))
    frames.put(raw("depth", 10**9 + 10**6))
    taken = frames.take()
    assert (taken.image.stamp, taken.partners["depth"].stamp) == (10**9, 10**9 + 10**6)
    frames.put(raw("depth", 2 * 10**9))
    assert frames.take().image.stamp == 2 * 10**9


def test_an_image_is_never_taken_twice_and_a_closed_place_lets_the_taker_go():
    frames = NewestFrame(["depth"], tolerance_s=0.01)
    frames.put(raw("image", 10**9))
    frames.put(raw("depth", 10**9))
    assert frames.take() is not None
    frames.put(raw("depth", 10**9 + 1))
    waiting = threading.Thread(target=frames.take)
    waiting.start()
    frames.close()
    waiting.join(timeout=5)
    assert not waiting.is_alive()


def test_a_clock_set_back_does_not_stop_the_images():
    frames = NewestFrame()
    frames.put(raw("image", 5 * 10**9))
    assert frames.take().image.stamp == 5 * 10**9
    frames.put(raw("image", 10**9))
    assert frames.take().image.stamp == 10**9


def test_the_camera_info_of_the_same_stamp_is_taken_else_the_latest():
    infos = CameraInfos(patience_s=0.01)
    assert infos.at(7) is None
    for stamp in (10, 20, 30):
        infos.put(raw("camera_info", stamp, CameraInfo))
    assert infos.at(20).stamp == 20
    assert infos.at(25).stamp == 30


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (Parameter("a", 1.0, "", "Hz", 0.5, 2.0), 3.0, "between 0.5 and 2 Hz"),
        (Parameter("a", "x", "", choices=("x", "y")), "z", "one of x, y"),
        (Parameter("a", 1, "", low=0, high=3), 2, ""),
        (Parameter("a", "x", "", check=lambda value: "no" if value == "b" else ""), "b", "no"),
    ],
)
def test_a_refused_value_has_a_reason(parameter, value, problem):
    assert problem in parameter.problem(value)
    assert bool(parameter.problem(value)) == bool(problem)


@pytest.mark.parametrize("node", describe.NODES)
def test_every_parameter_is_described_and_its_default_is_allowed(node):
    for parameter in describe.parameters_of(node):
        assert parameter.description.endswith(".")
        assert not parameter.problem(parameter.default) or parameter.default == [""]
        assert parameter.descriptor().description


@pytest.mark.parametrize("node", describe.NODES)
def test_the_parameter_files_are_as_the_code_makes_them(node):
    text = (ROOT / "config" / f"{node}.yaml").read_text()
    assert text == describe.parameters_yaml(node), "run python -m surfpose_ros.nodes.describe"
    values = yaml.safe_load(text)[f"/**/{node}"]["ros__parameters"]
    assert values == {p.name: p.default for p in describe.parameters_of(node)}


def test_the_tables_of_the_ros_api_are_as_the_code_makes_them():
    page = (ROOT / "docs" / "ros_api.md").read_text()
    for node in describe.NODES:
        assert f"<!-- parameters: {node} -->" in page
    assert page == describe.with_tables(page), "run python -m surfpose_ros.nodes.describe"


@pytest.mark.parametrize("name", ["pose", "capture", "retrain", "demo", "view"])
def test_launch_files_can_be_built_and_describe_every_argument(name):
    launch = pytest.importorskip("launch", reason="launch comes with a ROS install only")
    if not hasattr(launch, "LaunchDescription"):
        pytest.skip("launch comes with a ROS install only (this folder has one of that name)")
    pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS install only")
    path = ROOT / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location(f"{name}_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    arguments = description.get_launch_arguments()
    assert arguments
    assert all(argument.description for argument in arguments)


def test_the_layouts_show_topics_that_the_nodes_publish():
    page = (ROOT / "docs" / "ros_api.md").read_text()
    layouts = (ROOT / "config" / "surfpose.rviz").read_text() + json.dumps(
        json.loads((ROOT / "config" / "foxglove_layout.json").read_text())
    )
    yaml.safe_load((ROOT / "config" / "surfpose.rviz").read_text())
    shown = set(re.findall(r"/(?:pose|capture)_node/([a-z/]+)", layouts))
    assert shown == {"markers", "poses", "overlay", "preview", "debug/latency"}
    assert all(f"| `~/{topic}` |" in page for topic in shown)
