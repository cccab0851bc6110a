"""Nodes run as processes of their own and are talked to over real DDS."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 here")
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from surfpose_ros.backbones.registry import backbone_checksum, load_backbone  # noqa: E402
from surfpose_ros.category.model import CategoryInfo, CategoryModel, save_category_model  # noqa: E402
from surfpose_ros.category.network import CategoryNetwork  # noqa: E402
from surfpose_ros.category.template import Template  # noqa: E402
from surfpose_ros.geometry.meshes import Mesh  # noqa: E402
from surfpose_ros.simulation.objects import make_object  # noqa: E402

PATIENCE = 60.0  # generous: test machines are busy; nothing waits longer than it has to
PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_large_images.xml"


class Talker:
    """A node of the test, and what it heard."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("tester", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: dict[str, list[Any]] = {}
        self._publishers: dict[str, Any] = {}

    def listen(self, topic: str, kind: type, latched: bool = False) -> list[Any]:
        """Keep what comes on a topic; returns the growing list. Latched, with what came before."""
        messages = self.heard.setdefault(topic, [])
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        self.node.create_subscription(
            kind, topic, messages.append, QoSProfile(depth=50, durability=durability)
        )
        return messages

    def publish(self, topic: str, message: Any, kind: type | None = None) -> None:
        """Publish a message, or bytes as a message of `kind`."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind or type(message), topic, 10)
        self._publishers[topic].publish(message)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def until(
        self,
        ready: Callable[[], Any],
        what: str,
        doing: Callable[[], Any] = lambda: None,
        patience: float = PATIENCE,
    ) -> Any:
        """Spin until `ready` returns something true, calling `doing` ten times a second."""
        end, again = time.monotonic() + patience, 0.0
        while time.monotonic() < end:
            if time.monotonic() >= again:
                doing()
                again = time.monotonic() + 0.1
            self.executor.spin_once(timeout_sec=0.02)
            result = ready()
            if result:
                return result
        pytest.fail(
            f"waited {patience:.0f} s for {what}; heard { ({k: len(v) for k, v in self.heard.items()}) }"
        )

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Ask once the service is there, and again if no answer came.

        A client may see a service before that sees where answers go, and rmw_fastrtps drops an answer
        for which it knows no reader: hence the moment's wait, and the second call on a busy machine.
        """
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready, f"the service {name}")
        self.spin(0.2)
        began, asked = time.monotonic(), []

        def ask() -> None:
            if time.monotonic() >= began + len(asked) * PATIENCE / 4:
                asked.append(client.call_async(request))

        answered = self.until(lambda: [one for one in asked if one.done()], f"an answer of {name}", ask)
        self.node.destroy_client(client)
        return answered[0].result()

    def trigger(self, name: str) -> Trigger.Response:
        return self.call(Trigger, name, Trigger.Request())

    def set_parameter(self, node: str, name: str, value: Any) -> str:
        """Returns why it was refused, "" if it was not."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = self.call(SetParameters, f"/{node}/set_parameters", request).results
        return "" if result.successful else result.reason

    def status(self, name: str) -> Any:
        """The newest diagnostic status of that name, e.g. ``pose_node: poses``."""
        for message in reversed(self.heard["/diagnostics"]):
            for status in message.status:
                if status.name == name:
                    return status
        return None

    def says(self, name: str, text: str) -> Callable[[], bool]:
        """Whether the newest status of that name contains the text."""
        return lambda: (status := self.status(name)) is not None and text in status.message

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def child_environment() -> dict[str, str]:
    """Of a process that has to set up ROS from PyPI by itself."""
    return {key: value for key, value in os.environ.items() if key != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}


@pytest.fixture
def talker(ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Talker]:
    from diagnostic_msgs.msg import DiagnosticArray

    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(PROFILE))
    made = Talker(ros_domain)
    made.listen("/diagnostics", DiagnosticArray)
    yield made
    made.close()


@pytest.fixture
def start(ros_domain: int, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a node as a process: ``start("pose_node", threshold=0.1)``; all are ended after the test.

    `without` names packages that the process is made to find missing, `first` is code to run before.
    """
    running: list[subprocess.Popen] = []

    def start_node(
        name: str, without: tuple[str, ...] = (), first: str = "", **parameters: Any
    ) -> subprocess.Popen:
        arguments = [f"{key}:={_text(value)}" for key, value in parameters.items()]
        program = f"import sys; sys.modules.update(dict.fromkeys({list(without)}))\n{first}\n"
        program += f"from surfpose_ros.nodes.{name} import main; main()"
        command = [sys.executable, "-c", program]
        if arguments:
            command += ["--ros-args", *(part for argument in arguments for part in ("-p", argument))]
        environment = child_environment() | {"OMP_NUM_THREADS": "2"}
        child = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        running.append(child)
        return child

    yield start_node
    for child in running:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    for child in running:
        try:
            child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A category model with random weights: its poses are worth nothing, all around them is real."""

    def make(category: str = "mug", metric: bool = True) -> Path:
        folder = tmp_path_factory.getbasetemp() / f"model_{category}_{metric}"
        if folder.exists():
            return folder
        torch.manual_seed(0)
        backbone = load_backbone("mobilenet_v2", "cpu")
        mesh = _template_of(make_object("mug", 0).mesh.mesh())
        info = CategoryInfo(
            name=category,
            backbone="mobilenet_v2",
            backbone_sha256=backbone_checksum(backbone),
            input_size=224,
            size_m={"mean": 0.12, "std": 0.01} if metric else None,
            extent_log_std=[0.05] * 3,
        )
        vertices = torch.nn.functional.normalize(torch.randn(len(mesh.vertices), 128), dim=1)
        clutter = torch.nn.functional.normalize(torch.randn(1, 128), dim=1)
        template = Template(mesh, np.full(3, 0.05))
        network = CategoryNetwork(backbone).eval()
        network.head.place[-1].bias.data[0] = 0.0  # so that it takes something for an object everywhere
        save_category_model(CategoryModel(info, template, network, vertices, clutter), folder)
        return folder

    return make


def _template_of(mesh: Mesh) -> Mesh:
    """The convex hull, as a small stand-in for a template."""
    hull = mesh.trimesh().convex_hull.simplify_quadric_decimation(face_count=300)
    return Mesh((hull.vertices / mesh.diagonal).astype(np.float32), np.asarray(hull.faces, np.int64))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
