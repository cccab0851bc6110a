"""Several processes on one folder: writers of one model, readers and pose_node while it is replaced."""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from small import small_captures

from surfpose_ros.category.model import CategoryModel, load_category_model, save_category_model
from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.recorder import CaptureRecorder

HERE = Path(__file__)
LEARN = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import small;"
LEARN += "from surfpose_ros.errors import SurfposeError\n"
LEARN += (
    "try: small.small_retrain(sorted(pathlib.Path(sys.argv[2]).glob('mug_*')), pathlib.Path(sys.argv[3]))\n"
)
LEARN += "except SurfposeError as error: sys.exit(f'surfpose: {error}')"
WRITE = (
    "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import share; share.write_for_ever(sys.argv[2:])"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--seconds", type=float, default=30.0, help="Of replacing, each time.")
    parser.add_argument("--no-nodes", action="store_true", help="Leave pose_node out.")


def run(options: argparse.Namespace) -> int:
    """All of it; returns how often something broken was seen."""
    with tempfile.TemporaryDirectory(prefix="surfpose_share_") as name:
        folder = Path(name)
        captures = folder / "captures"
        small_captures(captures)
        broken = two_trainings(captures, folder / "mug")
        load_category_model(folder / "mug")
        broken += readers(folder / "mug", options.seconds)
        broken += live_recording(folder / "live")
        if not options.no_nodes:
            broken += pose_node(folder / "mug", options.seconds)
    return broken


def two_trainings(captures: Path, out: Path) -> int:
    """Two of `surfpose retrain` at once: one learns, the other says so and goes."""
    command = [sys.executable, "-c", LEARN, str(HERE.parent), str(captures), str(out)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(child.communicate()[1].strip() for child in both)
    codes = sorted(child.returncode for child in both)
    print(f"two trainings at once: exit {codes}, said {said}", flush=True)
    return int(codes != [0, 1] or len(said[1].splitlines()) != 1)


def marked(model: CategoryModel, mark: int) -> CategoryModel:
    """The model with a mark in category.yaml and in its weights."""
    info = replace(model.info, figures={"mark": mark})
    return replace(model, info=info, clutter_features=torch.full_like(model.clutter_features, mark))


def write_for_ever(arguments: list[str]) -> None:
    """Replace a model by itself with other marks, ten times a second."""
    out, number = Path(arguments[0]), int(arguments[1])
    model = load_category_model(Path(arguments[2]))
    while True:
        save_category_model(marked(model, number), out)
        number += 2
        time.sleep(0.1)


def writers(model: Path, out: Path) -> list[subprocess.Popen]:
    """Two processes that replace `out`."""
    command = [sys.executable, "-c", WRITE, str(HERE.parent), str(out)]
    return [subprocess.Popen([*command, str(number), str(model)]) for number in (0, 1)]


def end(children: list[subprocess.Popen]) -> int:
    """Stop them; returns how many had stopped by themselves."""
    dead = sum(child.poll() is not None for child in children)
    for child in children:
        child.kill()
        child.wait()
    return dead


def readers(model: Path, seconds: float) -> int:
    """Read a model that two processes replace: always whole, always of one writing."""
    out = model.with_name("shared")
    save_category_model(load_category_model(model), out)
    children = writers(model, out)
    while "mark" not in load_category_model(out).info.figures:
        time.sleep(0.1)  # until Python and PyTorch are there
    begin, marks, broken = time.monotonic(), set(), 0
    while time.monotonic() - begin < seconds:
        try:
            read = load_category_model(out)
        except SurfposeError as error:
            broken += 1
            print(f"  {error}", flush=True)
            continue
        mark = read.info.figures.get("mark")
        if mark is not None:
            broken += not bool((read.clutter_features == mark).all())
            marks.add(mark)
    dead = end(children)
    print(
        f"readers: {len(marks)} different models read, {broken} broken, {dead} writers failed", flush=True
    )
    return broken + dead


def live_recording(folder: Path) -> int:
    """Read a capture while it is recorded: refused in a line, and the recording goes on."""
    recorder = CaptureRecorder(folder, CaptureInfo("mug"))
    recorder.flush()
    before = sorted(path.name for path in folder.iterdir())
    command = [
        sys.executable,
        "-m",
        "surfpose_ros.cli.main",
        "reconstruct",
        str(folder),
        "--out",
        str(folder.parent),
    ]
    said = subprocess.run(command, capture_output=True, text=True).stderr.strip()
    same = before == sorted(path.name for path in folder.iterdir())
    recorder.discard()
    print(f"a capture under way, read by another: {said.splitlines()[-1:]}", flush=True)
    return int(not same or "is being recorded" not in said)


def pose_node(model: Path, seconds: float) -> int:
    """pose_node that loads again and again what two processes replace."""
    import rclpy
    from live import Tester, begin, node

    begin()
    tester = Tester(320, 240, "mug")
    out, said, answers = model.with_name("shared"), [], 0
    children = writers(model, out)
    try:
        with node("pose_node", f"models:=[{out}]", "threshold:=0.0") as child:
            tester.until(lambda: tester.latencies, "pose_node")
            started = time.monotonic()
            while time.monotonic() - started < seconds:
                tester.call("/pose_node/reload")
                answers += 1
                tester.film(1.0, 10)
                status = tester.statuses["pose_node: models"]
                if status.level != b"\x00":
                    said.append(status.message)
            alive = child.poll() is None
    finally:
        dead = end(children)
    print(f"pose_node: {answers} reloads, {len(tester.latencies)} poses, complaints {said}", flush=True)
    rclpy.try_shutdown()
    return len(said) + dead + (not alive)
