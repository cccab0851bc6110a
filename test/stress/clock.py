"""Stamps and clocks that jump back and forth: the nodes go on, say it, and record in order."""

import argparse
import random
import tempfile
import time
from pathlib import Path

import rclpy
from live import Tester, begin, node
from rosgraph_msgs.msg import Clock
from small import small_model

from surfpose_ros.messages.poses import stamp_message
from surfpose_ros.video.bag import read_messages

HOUR = 3600 * 10**9
JUMPS = (0, -1, 1, -HOUR, HOUR, -24 * HOUR, 365 * 24 * HOUR)  # nanoseconds; and the stamps 0 and 2**31 - 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--images", type=int, default=200, help="With jumping stamps, for each node.")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    """Both nodes, with the clock of the machine and with /clock; returns what went wrong."""
    begin()
    tester = Tester(160, 120, "mug")
    ticks = tester.create_publisher(Clock, "/clock", 10)
    broken = 0
    with tempfile.TemporaryDirectory(prefix="surfpose_clock_") as name:
        folder = Path(name)
        small_model(folder / "mug")
        for simulated in (False, True):
            rng = random.Random(options.seed)

            def jump(simulated: bool = simulated, rng: random.Random = rng) -> None:
                stamp = rng.choice([0, (2**31 - 1) * 10**9, *(time.time_ns() + step for step in JUMPS)])
                if simulated:
                    ticks.publish(Clock(clock=stamp_message(rng.choice([stamp, time.time_ns()]))))
                tester.show(stamp)

            use = f"use_sim_time:={str(simulated).lower()}"
            broken += recording(tester, folder / f"captures_{simulated}", use, jump, options.images)
            broken += poses(tester, folder / "mug", use, jump, options.images)
    rclpy.try_shutdown()
    return broken


def recording(tester: Tester, output: Path, use: str, jump, count: int) -> int:
    """Record while stamps jump: all there, in order of arrival, readable."""
    with node("capture_node", "category:=mug", f"output_dir:={output}", "min_free_gib:=0.0", use) as child:
        tester.statuses.clear()
        tester.until(lambda: "arrive" in tester.message_of("capture_node: inputs"), "capture_node")
        tester.call("/capture_node/start")
        repeat(tester, jump, count)
        said = tester.call("/capture_node/stop")
        alive = child.poll() is None
    kept = sum(1 for _ in read_messages(output / "mug_01", ["/image"]))
    print(f"capture_node, {use}: {kept} of {count} images kept, alive {alive}: {said}", flush=True)
    return int(kept < count or not alive)


def poses(tester: Tester, model: Path, use: str, jump, count: int) -> int:
    """Show jumping stamps, then ordinary ones: pose_node lives and serves them."""
    with node("pose_node", f"models:=[{model}]", "threshold:=0.0", use) as child:
        tester.latencies.clear()
        tester.until(lambda: tester.latencies, "pose_node")
        tester.latencies.clear()
        repeat(tester, jump, count)
        during = len(tester.latencies)
        said = tester.message_of("pose_node: latency")
        tester.latencies.clear()
        tester.until(lambda: tester.latencies, "poses after the jumps")
        alive = child.poll() is None
    print(f"pose_node, {use}: poses of {during} of {count} jumping and the next images, alive {alive}, "
          f"said {said!r}", flush=True)  # fmt: skip
    return int(not alive or not during)


def repeat(tester: Tester, jump, count: int) -> None:
    """Jump ten times a second."""
    for _ in range(count):
        jump()
        end = time.monotonic() + 0.1
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(tester, timeout_sec=left)
