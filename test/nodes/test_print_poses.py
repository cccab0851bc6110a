"""The example that users begin with hears a pose node's message."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import child_environment

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="no vision_msgs here")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "print_poses.py"


def seen_mug() -> "vision_msgs.Detection3DArray":
    likely, other = vision_msgs.ObjectHypothesisWithPose(), vision_msgs.ObjectHypothesisWithPose()
    likely.hypothesis.class_id, likely.hypothesis.score = "mug", 0.75
    likely.pose.pose.position.z = 0.5
    other.hypothesis.class_id, other.hypothesis.score = "mug", 0.2
    mug = vision_msgs.Detection3D(id="mug_0", results=[likely, other])
    message = vision_msgs.Detection3DArray(detections=[mug])
    message.header.frame_id = "camera"
    return message


def test_the_example_prints_the_likeliest_pose_and_its_frame(talker, tmp_path):
    printed = tmp_path / "printed.txt"
    with printed.open("w") as file:
        # Whoever runs the tests in the background has SIGINT ignored, and so would the example.
        command = ["env", "--default-signal=INT", sys.executable, str(EXAMPLE)]
        example = subprocess.Popen(command, env=child_environment(), stdout=file)
    try:
        text = talker.until(
            printed.read_text,
            "a line of the example",
            lambda: talker.publish("/pose_node/detections", seen_mug()),
        )
    finally:
        example.send_signal(signal.SIGINT)
        assert example.wait(30) == 0
    expected = "mug_0, score 0.75, at 0.000 0.000 0.500, turned 0.000 0.000 0.000 1.000 (x y z w) in camera"
    assert text.splitlines()[0] == expected
