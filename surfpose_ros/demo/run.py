"""The whole way on simulated objects; whatever is there from an earlier run is used again."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.category.model import load_category_model
from surfpose_ros.category.train_settings import PRESETS
from surfpose_ros.demo.live import judge, label_frame, look, make_scenes
from surfpose_ros.demo.page import front_table, picture_table, write_page
from surfpose_ros.demo.record import record
from surfpose_ros.evaluation.pose_tables import pose_figures, pose_tables
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.files import write_json
from surfpose_ros.progress import Progress, silent
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.simulation.captures import read_truth
from surfpose_ros.simulation.labels import read_front_seen
from surfpose_ros.surface.reconstruct import ReconstructSettings

UNSEEN = 1000  # seeds of the objects that are never recorded begin here


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        figures: errors against the truth, as `surfpose evaluate pose` gives them; seconds of each stage.
        tables: for the terminal.
        page: the HTML report.
    """

    figures: dict[str, Any]
    tables: list[Table]
    page: Path


def run_demo(
    out: Path,
    category: str = "mug",
    objects: int = 8,
    pictures: int = 24,
    progress: Progress = silent,
) -> DemoResult:
    """Record, learn, look; all files go into `out`.

    Args:
        out: folder of the captures, the model, the pictures and the report.
        category: parametric category.
        objects: number of objects that are recorded.
        pictures: number of pictures of objects that are not.
        progress: told of each step.

    Raises:
        SurfposeError: a node or a stage failed.
    """
    clock = _Clock()
    seeds = list(range(objects))
    captures = record(category, seeds, out / "captures", out / "log", progress)
    clock.lap("record (ROS)")
    model_folder, work = out / "models" / category, out / "work"
    settings = RetrainSettings(ReconstructSettings(), AlignmentSettings(), PRESETS["quick"])
    retrain(captures, category, model_folder, work, settings, progress)
    clock.lap("learn")
    unseen = [UNSEEN + number for number in range(max(1, pictures // 3))]
    labels = make_scenes(category, unseen, pictures, out / "scenes", progress)
    clock.lap("make pictures")
    answers = look(model_folder, labels, out / "answers.json", out / "log", progress)
    clock.lap("live poses (ROS)")
    model = load_category_model(model_folder, "cpu")
    frame, off_deg = label_frame(model.info, read_truth(out / "captures"))
    outcomes = judge(labels, answers, frame)
    front_seen = read_front_seen(labels)
    page = write_page(out / "report.html", model, captures, work, outcomes, front_seen, clock.seconds)
    clock.lap("report")
    figures = {
        **pose_figures(outcomes),
        "alignment_off_deg": np.round(off_deg, 3).tolist(),
        "seconds": clock.seconds,
    }
    write_json(out / "result.json", figures)
    tables = [picture_table(outcomes), front_table(outcomes, front_seen), *pose_tables(outcomes)[:2]]
    return DemoResult(figures, tables, page)


class _Clock:
    """Time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage], self._last = round(now - self._last, 1), now
