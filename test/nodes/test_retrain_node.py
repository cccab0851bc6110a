"""retrain_node from captures to a model that a running pose_node takes over."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from std_msgs.msg import String

from surfpose_ros.category.model import load_category_model
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import TurntableSettings

from .camera import show

# The whole way, but with a training of a few seconds.
SHORT = """
from dataclasses import replace
from surfpose_ros.category.train_settings import PRESETS
from surfpose_ros.evaluation import own_frames
PRESETS["quick"] = replace(PRESETS["quick"], steps=3, batch=4, calibration=4)
own_frames.FRAMES = 4
"""


@pytest.fixture(scope="session")
def mugs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captures of two mugs, of a bottle, and one that is damaged."""
    folder = tmp_path_factory.mktemp("captures")
    options = CaptureOptions(views=24, turntable=TurntableSettings(width=160, height=120))
    for category, names in (("mug", ["mug_1", "mug_2"]), ("bottle", ["bottle_1"])):
        makers = [partial(make_object, category, number) for number in range(len(names))]
        simulate_captures(makers, names, folder, 0, options)
    shutil.copytree(folder / "mug_1", folder / "mug_bad")
    for bag in (folder / "mug_bad").glob("*.mcap"):
        bag.write_bytes(bag.read_bytes()[:1000])
    return folder


def test_retrain_node_says_what_is_wrong_and_stays(talker, start, tmp_path):
    start("retrain_node", captures_dir=str(tmp_path / "none"))
    assert "set the parameter category" in talker.trigger("/retrain_node/start").message
    assert "nothing is being trained" in talker.trigger("/retrain_node/cancel").message
    talker.set_parameter("retrain_node", "category", "mug")
    assert talker.trigger("/retrain_node/start").success
    talker.until(talker.says("retrain_node: training", "neither a capture"), "the reason")
    progress = talker.listen("/retrain_node/progress", DiagnosticArray, latched=True)
    # /diagnostics has the reason a moment earlier: who begins to listen between hears an older word first.
    talker.until(
        lambda: progress and "neither a capture" in progress[-1].status[0].message,
        "what was said before anybody listened",
    )


@pytest.mark.timeout(900)
def test_a_training_cancelled_and_killed_goes_on_reports_figures_and_pose_node_takes_its_model(
    talker, start, mugs, tmp_path
):
    progress = talker.listen("/retrain_node/progress", DiagnosticArray)
    reports = talker.listen("/retrain_node/report", String)
    poses = talker.listen("/pose_node/poses", PoseArray)
    model = tmp_path / "model"
    start("pose_node", models=[str(model)])
    talker.until(talker.says("pose_node: models", "no such model folder"), "pose_node to miss the model")
    settings = {
        "category": "mug",
        "captures_dir": str(mugs),
        "output_dir": str(model),
        "work_dir": str(tmp_path / "work"),
        "preset": "quick",
        "autostart": True,
    }
    child = start("retrain_node", first=SHORT, **settings)
    talker.until(talker.says("retrain_node: training", "surfaces"), "the first stage")
    assert "under way already" in talker.trigger("/retrain_node/start").message
    talker.until(talker.says("retrain_node: training", "align"), "the alignment", patience=300)
    assert talker.trigger("/retrain_node/cancel").success
    talker.until(talker.says("retrain_node: training", "cancelled"), "the end", patience=300)
    assert not model.exists()
    assert not reports

    assert talker.trigger("/retrain_node/start").success
    talker.until(talker.says("retrain_node: training", "align"), "the alignment again", patience=300)
    child.kill()
    child.wait()
    start("retrain_node", first=SHORT, **settings)
    talker.until(lambda: reports, "the report", patience=600)
    report = json.loads(reports[-1].data)
    assert report["kept"] == ["surfaces"]
    assert report["trained_on"] == ["mug_1", "mug_2"]
    assert [Path(path).name for path in report["left_out"]] == ["mug_bad"]
    figures = report["figures"]["own_frames"]
    assert figures["n"] == 4
    assert 0 <= figures["acc30"] <= 1
    assert 0 <= figures["median_deg"] <= 180
    assert load_category_model(model).info.figures == report["figures"]
    talker.until(talker.says("retrain_node: training", "done"), "the end")
    stages = [message.status[0].message for message in progress]
    assert {"surfaces", "align", "views", "train", "measure"} <= set(stages)
    last = progress[len(stages) - 1 - stages[::-1].index("train")].status[0]
    assert {"done": "3", "total": "3"}.items() <= {v.key: v.value for v in last.values}.items()
    talker.until(lambda: poses, "poses with the new model", lambda: show(talker))
