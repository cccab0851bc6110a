"""Full disks and folders that may not be written: one line, nothing half-written, and on with space.

Mounts small disks in a mount namespace of its own, which takes the right to mount (root).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import Reader
from small import small_captures

from surfpose_ros.category.model import load_category_model
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import PART

HERE = Path(__file__)
INSIDE = "SURFPOSE_STRESS_DISK"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--no-nodes", action="store_true", help="Leave capture_node out.")


def run(options: argparse.Namespace) -> int:
    """All disks; returns how many answers were not as they should be."""
    if INSIDE not in os.environ:
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
            sys.exit("disk: mounting is not allowed here, so nothing was tried; run it as root")
        return subprocess.run(
            ["unshare", "-m", sys.executable, *sys.argv], env={**os.environ, INSIDE: "1"}
        ).returncode
    with tempfile.TemporaryDirectory(prefix="surfpose_disk_") as name:
        folder = Path(name)
        broken = learning(folder) + overlays(folder)
        if not options.no_nodes:
            broken += recording(folder)
    return broken


def surfpose(*arguments: object) -> tuple[int, str]:
    """Run the command with the small preset: exit code, and what it said to the error stream."""
    done = subprocess.run(
        [sys.executable, str(HERE.with_name("small.py")), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    # The progress of a terminal that is none is not an error.
    return done.returncode, "\n".join(
        line for line in done.stderr.splitlines() if "surfpose: " in line
    ) or (done.stderr.strip())


class Disk:
    """A small tmpfs."""

    def __init__(self, folder: Path, mib: float, *options: str) -> None:
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", ",".join((f"size={round(mib * 1024)}k", *options)), "tmpfs")

    def change(self, *options: str) -> None:
        """Mount it again, otherwise."""
        self._mount("-o", ",".join(("remount", *options)))

    def end(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.folder.rmdir()

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(self.folder)], check=True)


def judge(what: str, code: int, said: str, place: Path, fails: bool = True) -> int:
    """Print what was said; 1 unless it was one line and left nothing half-written."""
    left = [path.name for path in place.rglob(f"*{PART}*")]
    good = (code == 1 and len(said.splitlines()) == 1 if fails else code == 0) and not left
    print(f"{what}: {'' if good else 'BROKEN: '}exit {code}: {said[-600:]} {left or ''}", flush=True)
    return int(not good)


def learning(folder: Path) -> int:
    """`surfpose retrain` on disks that are full at each stage, and that are read-only."""
    captures = folder / "captures"
    small_captures(captures)
    command = ("retrain", captures, "--category", "mug", "--preset", "quick", "--out")
    whole = folder / "whole"
    code, said = surfpose(*command, whole / "mug")
    assert code == 0, said
    work = whole / "mug.work"
    for name in ("model.stamp.json", "alignment.png"):
        (work / name).unlink()
    used = sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / 2**20
    broken = 0
    # What is there beforehand decides which stage meets the end of the disk.
    for stage, keep, free in (
        ("surfaces", (), 1.0),
        ("alignment", ("surfaces",), 0.06),
        ("training's state", ("surfaces", "alignment.json", "alignment.stamp.json"), 5.0),
        ("model", ("surfaces", "alignment.json", "alignment.stamp.json"), 30.0),
    ):
        disk = Disk(folder / "disk", (used if keep else 0) + free)
        target = disk.folder / "mug.work"
        target.mkdir()
        for name in keep:
            source = work / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target / name)
        broken += judge(
            f"full while writing {stage}", *surfpose(*command, disk.folder / "mug"), disk.folder
        )
        disk.change("size=500m")
        broken += judge("  with space", *surfpose(*command, disk.folder / "mug"), disk.folder, fails=False)
        try:
            load_category_model(disk.folder / "mug")
        except SurfposeError as error:
            broken += judge("  its model", 0, str(error), disk.folder)
        disk.end()
    disk = Disk(folder / "disk", 50, "ro")
    broken += judge("read-only", *surfpose(*command, disk.folder / "mug"), disk.folder)
    disk.end()
    return broken


def overlays(folder: Path) -> int:
    """`surfpose estimate` of pictures and bags with its overlays on such disks."""
    rng, broken = np.random.default_rng(0), 0
    cv2.imwrite(str(folder / "a.png"), rng.integers(0, 256, (480, 640, 3), np.uint8))
    for source in (folder / "a.png", folder / "captures" / "mug_0"):
        for kind, mib, options in (("full", 0.02, ()), ("read-only", 1, ("ro",))):
            disk = Disk(folder / "disk", mib, *options)
            command = ("estimate", source, "--model", folder / "whole" / "mug", "--overlay", disk.folder)
            broken += judge(f"overlay of {source.name}, {kind}", *surfpose(*command), disk.folder)
            files = [path.name for path in disk.folder.iterdir()]
            if files:
                broken += 1
                print(f"  BROKEN: left behind {files}")
            disk.end()
    return broken


def recording(folder: Path) -> int:
    """capture_node on a disk that fills up, and on one that may not be written."""
    import rclpy
    from live import Tester, begin, node

    begin()
    tester, broken = Tester(640, 480, "mug"), 0
    disk = Disk(folder / "disk", 100)
    with node("capture_node", "category:=mug", f"output_dir:={disk.folder}", "min_free_gib:=0.0") as child:
        tester.until(lambda: "arrive" in tester.message_of("capture_node: inputs"), "capture_node")
        print(tester.call("/capture_node/start"), flush=True)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            tester.film(0.5, 30)
            if "idle" in tester.message_of("capture_node: recording"):
                break
        with Reader(disk.folder / "mug_01") as reader:
            print(f"full while recording: {reader.message_count} messages are readable", flush=True)
            broken += not reader.message_count
        disk.change("ro")
        said = tester.call("/capture_node/start")
        broken += judge("recording, read-only", 1, said, disk.folder)
        child.send_signal(signal.SIGINT)
        child.wait()
    disk.end()
    rclpy.try_shutdown()
    return broken
