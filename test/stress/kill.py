"""kill -9 at random instants: learning goes on to the same model, a recording keeps what was flushed.

Learning is killed a few times, ends, is compared with an undisturbed run, and begins anew.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from small import small_captures

from surfpose_ros.doctor.shared_memory import remove_dead_segments
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import remove_leftovers
from surfpose_ros.video.bag import read_messages, read_topics
from surfpose_ros.video.capture import find_captures

HERE = Path(__file__)
SHARE = 0.6  # of an undisturbed run, after which it is killed at the latest: longer than any stage
KILLS = 4  # of one training, before it may end: each begins with surfaces anew
LEARN = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import small; print('begun', flush=True);"
LEARN += "a, b = map(pathlib.Path, sys.argv[2:]); small.small_retrain(sorted(a.glob('mug_*')), b)"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of this knock."""
    parser.add_argument("--count", type=int, default=50, help="Kills of learning; 0 for none.")
    parser.add_argument("--recordings", type=int, default=20, help="Kills of capture_node; 0 for none.")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    """Kill both; returns how often something was lost."""
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="surfpose_kill_") as folder:
        broken = kill_learning(Path(folder), options.count, rng) if options.count else 0
        if options.recordings:
            broken += kill_recording(Path(folder), options.recordings, rng)
    return broken


def kill_learning(folder: Path, count: int, rng: random.Random) -> int:
    """Kill `count` trainings; returns how many models differed or could not be finished."""
    captures = folder / "captures"
    small_captures(captures)
    began = time.monotonic()
    assert learn(captures, folder / "whole") == "done"
    whole, seconds = digests(folder / "whole"), time.monotonic() - began
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    kills, broken, runs, stages = 0, 0, 0, Counter()
    while kills < count:
        runs += 1
        out = folder / f"run_{runs}"
        end = "killed"
        for _ in range(KILLS):
            # Twice random: the first stages are short.
            end = learn(captures, out, rng.random() * rng.uniform(0, SHARE * seconds))
            if end != "killed":
                break
            kills += 1
            stages[stage_of(out)] += 1
        if end == "killed":
            end = learn(captures, out)
        if end != "done" or digests(out) != whole:
            broken += 1
            differing = [name for name in whole if digests(out).get(name) != whole[name]]
            print(f"  run {runs}: {end}; differs in {differing}", flush=True)
        left = leftovers(out)
        work = out.with_name(f"{out.name}.work")
        for place in (out.parent, work, *work.rglob("*/")):
            remove_leftovers(place, older_than=0)
        if leftovers(out):
            broken += 1
            print(f"  run {runs}: not cleaned: {leftovers(out)}", flush=True)
        print(f"run {runs}: {end} after {kills} kills in all; left behind: {len(left)}", flush=True)
    print(f"{kills} kills in {runs} trainings, killed in {dict(stages)}; {broken} differ or keep leftovers",
          flush=True)  # fmt: skip
    return broken


def learn(captures: Path, out: Path, limit: float | None = None) -> str:
    """Learn in a process, killed after `limit` seconds: done, killed, or the last line that it said."""
    child = subprocess.Popen(
        [sys.executable, "-c", LEARN, str(HERE.parent), str(captures), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    child.stdout.readline()  # Python and PyTorch are there
    try:
        _, said = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return "killed"
    return "done" if child.returncode == 0 else said.splitlines()[-1]


def stage_of(out: Path) -> str:
    """How far a killed training had come, by what lies in its work folder."""
    work = out.with_name(f"{out.name}.work")
    for name, stage in (("training.safetensors", "training, after a saved step"),
                        ("alignment.json", "training"), ("alignment.pairs", "alignment")):  # fmt: skip
        if (work / name).exists():
            return stage
    return "alignment" if len(list((work / "surfaces").glob("mug_*.safetensors"))) == 2 else "surfaces"


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of the files of a model, of its surfaces and of its alignment."""
    files = [*out.glob("*"), *out.with_name(f"{out.name}.work").rglob("mug_*"),
             out.with_name(f"{out.name}.work") / "alignment.json"]  # fmt: skip
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and not path.name.startswith(".")
    }


def leftovers(out: Path) -> list[Path]:
    """Half-written files and folders beside and below a model's work."""
    work = out.with_name(f"{out.name}.work")
    return [*out.parent.glob(f".{out.name}.*"), *work.rglob(".*")]


def kill_recording(folder: Path, count: int, rng: random.Random) -> int:
    """Kill capture_node while it records; returns how many captures were neither readable nor named."""
    import rclpy
    from live import Tester, begin, node

    begin()
    tester = Tester(320, 240, "mug")
    output, broken = folder / "recordings", 0
    for number in range(count):
        with node("capture_node", "category:=cut", f"output_dir:={output}", "min_free_gib:=0.1") as child:
            tester.statuses.clear()
            tester.until(lambda: "arrive" in tester.message_of("capture_node: inputs"), "capture_node")
            tester.call("/capture_node/start")
            seconds = rng.uniform(0, 2.0)
            sent = tester.film(seconds, 30)
            child.send_signal(signal.SIGKILL)
            child.wait()
        newest = max(output.glob("cut_*"))
        try:
            messages = sum(1 for _ in read_messages(newest, list(read_topics(newest))))
            said = f"{messages} messages"
        except SurfposeError as error:
            messages, said = 0, str(error)
        lost = sent - messages / 2  # an image and its camera_info
        # What came in the last second and what was on its way may be lost.
        if lost > 45 or "\n" in said:
            broken += 1
        print(f"recording {number}: killed after {seconds:.1f} s and {sent} images: {said}", flush=True)
    print(f"{count} recordings killed: {broken} lost more than a second; listed: "
          f"{len(find_captures([output]))}", flush=True)  # fmt: skip
    rclpy.try_shutdown()
    remove_dead_segments()
    return broken
