"""A camera at full rate through capture_node and pose_node: what was lost, how late, how much memory."""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from live import Tester, begin, memory_mib, node, say
from rosbags.rosbag2 import Reader

QUARTERS = 4
GROWN = 1.1  # of the memory after the first quarter: more is a leak
STAGES = ("decode", "upload", "localise", "network", "pose", "track", "publish")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of all three."""
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="Of capture and pose.")
    parser.add_argument("--minutes", type=float, default=60.0, help="Of endurance.")
    parser.add_argument("--model", default="models/mug")
    parser.add_argument("--category", default="mug", help="Of the object in the picture.")
    parser.add_argument("--threads", type=int, default=0, help="Of pose_node; 0 for what it takes itself.")
    parser.add_argument("--compile", action="store_true", help="As pose_node's parameter.")
    parser.add_argument("--folder", default=None, help="Where to record; the system's temporary folder.")
    parser.add_argument("--no-profile", action="store_true", help="Fast DDS as it comes.")


def run(options: argparse.Namespace) -> int:
    """Film for a node; returns what was lost or grew."""
    if options.what == "endurance":
        options.seconds = 60 * options.minutes
    begin(not options.no_profile)
    tester = Tester(options.width, options.height, options.category)
    broken = capture(tester, options) if options.what == "capture" else pose(tester, options)
    rclpy.try_shutdown()
    return broken


def capture(tester: Tester, options: argparse.Namespace) -> int:
    """Record and count; returns the images lost."""
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
    return sent - kept["/image"]


def pose(tester: Tester, options: argparse.Namespace) -> int:
    """Let pose_node keep up as well as it can; returns 1 if its memory goes on growing."""
    model, threads = f"models:=[{options.model}]", f"threads:={options.threads}"
    compiled = f"compile:={str(options.compile).lower()}"
    parameters = (model, threads, compiled, "threshold:=0.0", "max_objects:=1")
    with node("pose_node", *parameters) as child:
        tester.until(lambda: tester.latencies, "pose_node")
        tester.film(5, options.rate)
        quarters, sizes, sent = [], [memory_mib(child.pid)], 0
        for _ in range(QUARTERS):
            tester.latencies.clear()
            sent += tester.film(options.seconds / QUARTERS, options.rate)
            sizes.append(memory_mib(child.pid))
            quarters.append(list(tester.latencies))
        values = {value.key: value.value for value in tester.statuses["pose_node: latency"].values}
        every = np.concatenate(quarters)
        middle = float(np.median(every))
        say(f"sent {sent} images at {sent / options.seconds:.1f} Hz; poses of {len(every)}:"
            f" {len(every) / options.seconds:.2f} Hz")  # fmt: skip
        work = sum(float(values.get(f"{stage} [ms]", 0)) for stage in STAGES)
        say(f"latency: median {middle:.0f} ms; work {work:.0f} ms, which allows {1e3 / work:.2f} Hz")
        say(f"stages: {values}")
        for what, share in (("median", 50), ("95 %", 95)):
            spread = ", ".join(f"{np.percentile(quarter, share):.0f}" for quarter in quarters)
            say(f"latency by the quarter, {what}: {spread} ms")
        say(f"memory of pose_node by the quarter: {', '.join(f'{size:.0f}' for size in sizes)} MiB")
    return int(sizes[-1] > GROWN * sizes[1])
