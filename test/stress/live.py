"""A camera over DDS, and the nodes under test as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import Trigger

from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.poses import stamp_message
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scenes import SceneSettings, make_scene

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_large_images.xml"


def begin(profile: bool = True) -> None:
    """Start ROS on this machine only, in a domain of its own, with our Fast DDS profile."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    if profile:
        os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    rclpy.init()


class Tester(Node):
    """The camera, and the ear for what the node under test says."""

    def __init__(self, width: int, height: int, category: str) -> None:
        super().__init__("stress")
        self.images = self.create_publisher(Image, "image", 10)
        self.infos = self.create_publisher(CameraInfo, "camera_info", 10)
        scene = make_scene(make_object(category, 8), 0, SceneSettings(width, height))
        self.camera = scene.camera
        self.message = encode_image(scene.image, Header(frame_id="camera"))
        self.statuses: dict = {}
        self.latencies: list[float] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self.create_subscription(Float64MultiArray, "/pose_node/debug/latency", self._on_latency, 50)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses.update({status.name: status for status in message.status})

    def _on_latency(self, message: Float64MultiArray) -> None:
        self.latencies.append(message.data[0])

    def message_of(self, name: str) -> str:
        """The newest message of a status."""
        return self.statuses[name].message if name in self.statuses else ""

    def show(self, nanoseconds: int | None = None) -> None:
        """Publish one image and its camera_info, stamped now if nothing else is said."""
        self.message.header.stamp = stamp_message(time.time_ns() if nanoseconds is None else nanoseconds)
        self.infos.publish(encode_camera_info(self.camera, self.message.header))
        self.images.publish(self.message)

    def film(self, seconds: float, rate: float) -> int:
        """Show images at a fixed rate; returns how many."""
        begin, count = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            self.show()
            count += 1
            while (left := begin + count / rate - time.monotonic()) > 0:
                rclpy.spin_once(self, timeout_sec=left)
        return count

    def until(self, ready: Callable[[], object], what: str, limit: float = 180.0) -> None:
        """Film slowly until something is so."""
        end = time.monotonic() + limit
        while not ready():
            if time.monotonic() > end:
                sys.exit(f"waited {limit:.0f} s for {what}")
            self.film(0.2, 5)

    def call(self, name: str) -> str:
        """Call a Trigger service."""
        client = self.create_client(Trigger, name)
        client.wait_for_service(30)
        future = client.call_async(Trigger.Request())
        rclpy.spin_until_future_complete(self, future, timeout_sec=60)
        return future.result().message


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def node(name: str, *parameters: str) -> Iterator[subprocess.Popen]:
    """A node as a process, ended after the block."""
    command = [sys.executable, "-m", f"surfpose_ros.nodes.{name}", "--ros-args"]
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    options = [part for parameter in parameters for part in ("-p", parameter)]
    child = subprocess.Popen([*command, *options], env=environment)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        child.wait()


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)
