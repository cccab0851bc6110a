"""A minute of camera at full rate through the real nodes, over DDS between processes: what came of it.

    python test/stress/stress.py capture --width 1920 --height 1080
    python test/stress/stress.py pose --model models/mug

Not part of `make test`: it takes its time, and its figures are of one machine.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import Trigger

from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.poses import stamp_message
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scenes import SceneSettings, make_scene

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_large_images.xml"


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

    def show(self) -> None:
        """Publish one image and its camera_info."""
        self.message.header.stamp = stamp_message(time.time_ns())
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

    def until(self, ready, what: str, limit: float = 60.0) -> None:
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


def capture(tester: Tester, options: argparse.Namespace) -> None:
    """Record and count."""
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        node("capture_node", "category:=stress", f"output_dir:={folder}") as child,
    ):
        tester.until(lambda: "arrive" in tester.message_of("capture_node: inputs"), "capture_node")
        time.sleep(1.0)
        say(tester.call("/capture_node/start"))
        before = memory_mib(child.pid)
        half = tester.film(options.seconds / 2, options.rate)
        middle = memory_mib(child.pid)
        sent = half + tester.film(options.seconds / 2, options.rate)
        after = memory_mib(child.pid)
        time.sleep(1.0)
        say(tester.call("/capture_node/stop"))
        with Reader(Path(folder) / "stress_01") as reader:
            kept = {connection.topic: connection.msgcount for connection in reader.connections}
        say(f"sent {sent} images at {sent / options.seconds:.1f} Hz; in the bag {kept}")
        say(f"lost {sent - kept['/image']}")
        say(f"memory of capture_node: {before:.0f} MiB, {middle:.0f} half-way, {after:.0f} at the end")


def pose(tester: Tester, options: argparse.Namespace) -> None:
    """Let pose_node keep up as well as it can."""
    parameters = (f"models:=[{options.model}]", "threshold:=0.0", "max_objects:=1")
    with node("pose_node", *parameters) as child:
        tester.until(lambda: tester.latencies, "pose_node")
        tester.film(5, options.rate)
        tester.latencies.clear()
        sizes, sent = [memory_mib(child.pid)], 0
        for _ in range(QUARTERS):
            sent += tester.film(options.seconds / QUARTERS, options.rate)
            sizes.append(memory_mib(child.pid))
        values = {value.key: value.value for value in tester.statuses["pose_node: latency"].values}
        count, median = len(tester.latencies), float(np.median(tester.latencies))
        say(f"sent {sent} images at {sent / options.seconds:.1f} Hz; poses of {count}:"
            f" {count / options.seconds:.2f} Hz")  # fmt: skip
        work = sum(float(values.get(f"{stage} [ms]", 0)) for stage in STAGES)
        say(f"latency: median {median:.0f} ms; work {work:.0f} ms, which allows {1e3 / work:.2f} Hz")
        say(f"stages: {values}")
        say(f"memory of pose_node by the quarter: {', '.join(f'{size:.0f}' for size in sizes)} MiB")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


QUARTERS = 4
STAGES = ("decode", "localise", "network", "pose", "track", "publish")


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("capture", "pose"))
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", default="models/mug")
    parser.add_argument("--category", default="mug", help="Of the object in the picture.")
    parser.add_argument("--folder", default=None, help="Where to record; the system's temporary folder.")
    parser.add_argument("--no-profile", action="store_true", help="Fast DDS as it comes.")
    options = parser.parse_args()
    if not options.no_profile:
        os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    say(f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{platform.platform()}; {options}")  # fmt: skip
    rclpy.init()
    tester = Tester(options.width, options.height, options.category)
    {"capture": capture, "pose": pose}[options.what](tester, options)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
