"""Twenty categories in one pose_node, and 32 objects in one image: memory, latency, nothing lost."""

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from live import Tester, begin, memory_mib, node
from rclpy.publisher import Publisher
from small import small_model
from vision_msgs.msg import Detection2D, Detection2DArray, Detection3DArray

from surfpose_ros.category.model import load_category_model, save_category_model


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--categories", type=int, default=20)
    parser.add_argument("--objects", type=int, default=32)
    parser.add_argument("--images", type=int, default=5)


def run(options: argparse.Namespace) -> int:
    """One model and one box, many models, many boxes; returns what was lost."""
    begin()
    tester = Tester(640, 480, "mug")
    heard: list[Detection3DArray] = []
    tester.create_subscription(Detection3DArray, "/pose_node/detections", heard.append, 10)
    with tempfile.TemporaryDirectory(prefix="surfpose_many_") as name:
        folder = Path(name)
        small_model(folder / "mug")
        model = load_category_model(folder / "mug")
        folders = []
        for number in range(options.categories):
            info = replace(model.info, name=f"mug_{number:02d}")
            folders.append(folder / info.name)
            save_category_model(replace(model, info=info), folders[-1])
        broken = 0
        for models, objects in ((folders[:1], 1), (folders, 1), (folders[:1], options.objects)):
            broken += look(tester, heard, models, objects, options.images)
    rclpy.try_shutdown()
    return broken


def look(tester: Tester, heard: list, models: list[Path], objects: int, images: int) -> int:
    """Show images with boxes; every box is to come back once for every category."""
    boxes = tester.create_publisher(Detection2DArray, "detections_2d", 10)
    names = ", ".join(f'"{path}"' for path in models)
    parameters = (f"models:=[{names}]", "threshold:=0.0", "use_detections_2d:=true", "max_objects:=1",
                  "max_age:=600.0")  # fmt: skip
    with node("pose_node", *parameters) as child:
        end = time.monotonic() + 120
        while not ask(tester, boxes, objects, heard, 2.0):  # until the node is there
            if time.monotonic() > end:
                return 1
        tester.film(3.0, 0.1)  # late answers to what it was asked meanwhile
        tester.latencies.clear()
        counts = [ask(tester, boxes, objects, heard, 60.0) for _ in range(images)]
        memory = memory_mib(child.pid)
        latency = float(np.median(tester.latencies))
    wanted = objects * len(models)
    print(f"{len(models)} categories, {objects} boxes: detections an image {dict(Counter(counts))} of "
          f"{wanted}, latency median {latency:.0f} ms, {memory:.0f} MiB", flush=True)  # fmt: skip
    return int(min(counts) < wanted)


def ask(tester: Tester, boxes: Publisher, count: int, heard: list, patience: float) -> int:
    """Show an image and boxes; the detections that come back, 0 if nothing comes."""
    heard.clear()
    tester.show()
    boxes.publish(grid(tester, count))
    end = time.monotonic() + patience
    while not heard and time.monotonic() < end:
        rclpy.spin_once(tester, timeout_sec=0.1)
    return len(heard[-1].detections) if heard else 0


def grid(tester: Tester, count: int) -> Detection2DArray:
    """Boxes side by side, eight a row, of the image last shown."""
    message = Detection2DArray(header=tester.message.header)
    for number in range(count):
        box = Detection2D()
        box.bbox.center.position.x = 40.0 + 80 * (number % 8)
        box.bbox.center.position.y = 60.0 + 120 * (number // 8)
        box.bbox.size_x = box.bbox.size_y = 70.0
        message.detections.append(box)
    return message
