"""First part of the demo: objects on the simulated turntable, recorded by capture_node over DDS."""

from pathlib import Path

import numpy as np

from surfpose_ros.demo.processes import NodeProcess, ros_environment
from surfpose_ros.files import write_json
from surfpose_ros.progress import Progress
from surfpose_ros.simulation.captures import BASE_FRAME, TRUTH_NAME, TRUTH_VERSION
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable
from surfpose_ros.video.capture import INFO_NAME

STEP_DEG = 22.5  # of the table between two pictures
RATE_HZ = 10.0
TURNS = 3


def record(category: str, seeds: list[int], captures: Path, logs: Path, progress: Progress) -> list[Path]:
    """Record the objects of these seeds into `captures`, but for those that are there already.

    Raises:
        SurfposeError: a node ended or did not answer.
    """
    folders = [captures / f"{category}_{seed:03d}" for seed in seeds]
    missing = [seed for seed, folder in zip(seeds, folders, strict=True) if not _is_whole(folder)]
    done = len(seeds) - len(missing)
    progress("record", done, len(seeds), "turntable, camera and recorder are starting" if missing else "")
    if not missing:
        return folders
    with (
        ros_environment() as environment,
        NodeProcess(
            "turntable_sim_node", environment, logs / "turntable_sim_node.log", category=category,
            seed=missing[0], rate=RATE_HZ, turn_rate=STEP_DEG * RATE_HZ,
        ),
        NodeProcess(
            "capture_node", environment, logs / "capture_node.log", category=category,
            output_dir=str(captures), base_frame=BASE_FRAME, guidance_rate=0.2,
        ),
        NodeProcess(
            "demo_recorder", environment, logs / "demo_recorder.log", seeds=missing, turns=TURNS,
            names=[f"{category}_{seed:03d}" for seed in missing],
        ) as recorder,
    ):  # fmt: skip
        for line in recorder.lines():
            done += 1
            progress("record", done, len(seeds), Path(line.split(":")[0]).name)
    _write_truth(category, seeds, captures)
    return folders


def _is_whole(folder: Path) -> bool:
    return (folder / INFO_NAME).exists() and (folder / "metadata.yaml").exists()


def _write_truth(category: str, seeds: list[int], captures: Path) -> None:
    """video_from_object of each capture: the object on the disc at angle 0, as the simulator has it."""
    truth = {}
    for seed in seeds:
        pose = Turntable(make_object(category, seed), seed=seed).base_from_object(0.0)
        truth[f"{category}_{seed:03d}"] = np.asarray(pose).tolist()
    write_json(captures / TRUTH_NAME, {"format_version": TRUTH_VERSION, "video_from_object": truth})
