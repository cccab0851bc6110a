"""Damaged files: readers end well or with one line, write nothing elsewhere, run nothing, stay small.

Each case runs in a process of its own, forked when all is imported, with a limit on its memory.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import trimesh
from damage import damage
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from small import SETTINGS, small_captures, small_retrain

from surfpose_ros.alignment.alignment import read_alignment
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.model import load_category_model
from surfpose_ros.errors import SurfposeError
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.simulation.objects import load_object
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.bag import TYPESTORE
from surfpose_ros.video.capture import read_info
from surfpose_ros.video.labels import read_labels
from surfpose_ros.video.pictures import read_mask, read_picture
from surfpose_ros.video.reader import read_capture
from surfpose_ros.video.recorder import CaptureRecorder
from surfpose_ros.video.sources import read_source

MEMORY = 2 << 30  # bytes above what is there at the fork
SECONDS = 60
EVENTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
          "pickle.find_class", "socket.connect")  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--cases", type=int, default=200, help="Of each kind of file.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="One kind of file.")
    parser.add_argument("--case", type=int, help="One case only, with its traceback.")


def run(options: argparse.Namespace) -> int:
    """Damage and read; returns the number of breaches."""
    torch.set_num_threads(1)
    breaches = 0
    with tempfile.TemporaryDirectory(prefix="surfpose_fuzz_") as name:
        base = Path(name)
        for kind, (make, read) in KINDS.items():
            if options.only not in ("", kind):
                continue
            good = base / "good" / kind
            make(base, good)
            shutil.copytree(good, base / "case" / kind, dirs_exist_ok=True)
            if (end := verdict(base, base / "case" / kind, read))[0] != "read":
                sys.exit(f"{kind} cannot be read undamaged: {end}")
            began, ends = time.monotonic(), Counter()
            numbers = range(options.cases) if options.case is None else [options.case]
            for number in numbers:
                end, said, how = one_case(base, good, read, f"{options.seed} {kind} {number}")
                ends[end] += 1
                if end not in ("read", "one line"):
                    breaches += 1
                    print(f"  {kind} {number}: {end}: {said} ({how})", flush=True)
            seconds = time.monotonic() - began
            print(f"{kind}: {len(numbers)} cases in {seconds:.0f} s: {dict(ends)}", flush=True)
    return breaches


def one_case(base: Path, good: Path, read: Callable[[Path], object], seed: str) -> tuple[str, str, str]:
    """Damage one file of a copy of `good` and read it: how it ended, what was said, what was damaged."""
    rng = random.Random(seed)
    folder = base / "case" / good.name
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(good, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    how = damage(rng.choice(files), rng)
    before = listing(base)
    end, said = verdict(base, folder, read)
    if listing(base) != before or Path("/tmp/surfpose_out").exists():
        end = "WROTE ELSEWHERE"
    return end, said, how


def listing(base: Path) -> dict[str, int]:
    """All files below a folder but the case's own, with their times."""
    files = (path for path in base.rglob("*") if "case" not in path.relative_to(base).parts[:1])
    return {str(path): path.stat().st_mtime_ns for path in files}


def verdict(base: Path, folder: Path, read: Callable[[Path], object]) -> tuple[str, str]:
    """Read in a child process: how it ended, and what it said."""
    answer = base / "answer"
    child = os.fork()
    if child == 0:
        _child(folder, read, answer)
    _, status = os.waitpid(child, 0)
    said = answer.read_text() if answer.exists() else ""
    answer.unlink(missing_ok=True)
    if os.WIFSIGNALED(status):
        return "KILLED", f"signal {os.WTERMSIG(status)}; {said}"
    return ("read", "one line", "BREACH")[os.WEXITSTATUS(status)], said


def _child(folder: Path, read: Callable[[Path], object], answer: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.chdir(folder)
    said, code = "", 0
    seen: list[str] = []
    sys.addaudithook(lambda event, what: seen.append(f"{event} {what}") if event in EVENTS else None)
    try:
        read(folder)
    except (SurfposeError, OSError) as error:  # the command line says both in one line
        said, code = f"{error}", 1
        if "\n" in said or len(said) > 2000 or (isinstance(error, OSError) and not error.strerror):
            code, said = 2, f"{type(error).__name__} of {len(said)} characters: {said[:300]!r}"
    except BaseException as error:
        said, code = "".join(traceback.format_exception(error))[-1500:], 2
    if seen:
        code, said = 2, f"it ran something: {seen[:3]}; {said}"
    answer.write_text(said, errors="replace")
    os._exit(code)


# What is made, and how it is read.


def _learnt(base: Path) -> Path:
    """A folder with small captures, surfaces, an alignment and a model; made once."""
    folder = base / "small"
    if not folder.exists():
        small_retrain(small_captures(folder / "captures"), folder / "model")
    return folder


def _copy(*names: str) -> Callable[[Path, Path], None]:
    def make(base: Path, good: Path) -> None:
        for name in names:
            for path in sorted(_learnt(base).glob(name)):
                target = good / path.name
                shutil.copytree(path, target) if path.is_dir() else _copy_file(path, target)

    return make


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _make_sqlite(base: Path, good: Path) -> None:
    """The same capture in rosbag2's other format."""
    source, target = _learnt(base) / "captures" / "mug_0", good / "mug_0"
    good.mkdir(parents=True)
    with (
        Reader(source) as reader,
        Writer(target, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer,
    ):
        new = {
            c.id: writer.add_connection(c.topic, c.msgtype, typestore=TYPESTORE) for c in reader.connections
        }
        for connection, stamp, data in reader.messages():
            writer.write(new[connection.id], stamp, data)
    shutil.copyfile(source / "capture.yaml", target / "capture.yaml")


def _make_interrupted(base: Path, good: Path) -> None:
    """A recording whose recorder died."""
    source = _learnt(base) / "captures" / "mug_0"
    recorder = CaptureRecorder(good / "mug_0", read_info(source))
    with Reader(source) as reader:
        for connection, stamp, data in reader.messages():
            recorder.write(connection.topic, connection.msgtype, data, stamp)
    recorder.flush()


def _make_pictures(base: Path, good: Path) -> None:
    """Pictures, a mask, and a CSV of labels for them."""
    good.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["image,qw,qx,qy,qz,category,video,mask,x,y,w,h,fx,fy,cx,cy,tx,ty,tz"]
    for name in ("a.jpg", "b.png", "c.webp", "d.tif", "e.bmp"):
        cv2.imwrite(str(good / name), rng.integers(0, 256, (48, 64, 3), np.uint8))
        rows.append(f"{name},1,0,0,0,mug,v,mask.png,3,4,20,20,90,90,31.5,23.5,0,0,0.5")
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 10:40] = 255
    cv2.imwrite(str(good / "mask.png"), mask)
    (good / "labels.csv").write_text("\n".join(rows) + "\n")


def _make_mesh(base: Path, good: Path) -> None:
    """A mesh in three formats."""
    good.mkdir(parents=True)
    for suffix in ("obj", "ply", "stl", "glb"):
        trimesh.creation.icosphere(1).export(good / f"ball.{suffix}")


def _make_state(base: Path, good: Path) -> None:
    """The state of a training under way."""
    parameters = {"w": torch.nn.Parameter(torch.randn(30, 7))}
    optimiser = torch.optim.AdamW(parameters.values())
    parameters["w"].sum().backward()
    optimiser.step()
    Checkpoint(good / "training.safetensors", "x").save(3, parameters, optimiser, torch.Generator())


def _read_capture(folder: Path) -> None:
    (capture,) = folder.iterdir()
    read_capture(capture)
    for _ in read_source(capture):
        pass


def _read_model(folder: Path) -> None:
    model = load_category_model(folder / "model")
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    PoseEstimator([model])(picture, None)


def _read_surfaces(folder: Path) -> None:
    surfaces = [load_surface(folder, name) for name in ("mug_0", "mug_1")]
    align_surfaces(surfaces, SETTINGS.alignment)


def _read_pictures(folder: Path) -> None:
    for row in read_labels(folder / "labels.csv", folder):
        read_picture(row.path)
        if row.mask:
            read_mask(row.mask)


def _read_state(folder: Path) -> None:
    parameters = {"w": torch.nn.Parameter(torch.zeros(30, 7))}
    optimiser = torch.optim.AdamW(parameters.values())
    Checkpoint(folder / "training.safetensors", "x").restore(parameters, optimiser, torch.Generator())


def _read_meshes(folder: Path) -> None:
    for path in sorted(folder.glob("ball.*")):
        load_object(path, "ball", 0.1)


KINDS: dict[str, tuple[Callable[[Path, Path], None], Callable[[Path], object]]] = {
    "mcap": (_copy("captures/mug_0"), _read_capture),
    "sqlite": (_make_sqlite, _read_capture),
    "interrupted": (_make_interrupted, _read_capture),
    "model": (_copy("model"), _read_model),
    "surface": (
        _copy("model.work/surfaces/mug_?.ply", "model.work/surfaces/mug_?.safetensors"),
        _read_surfaces,
    ),
    "alignment": (
        _copy("model.work/alignment.json"),
        lambda folder: read_alignment(folder / "alignment.json"),
    ),
    "state": (_make_state, _read_state),
    "labels": (_make_pictures, _read_pictures),
    "mesh": (_make_mesh, _read_meshes),
}
