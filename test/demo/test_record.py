import pytest

pytest.importorskip("rclpy", reason="ROS is not installed")

from surfpose_ros.demo.processes import NodeProcess, ros_environment
from surfpose_ros.demo.record import record
from surfpose_ros.errors import SurfposeError
from surfpose_ros.simulation.captures import read_truth
from surfpose_ros.video.reader import read_capture


def test_an_object_on_the_simulated_turntable_is_recorded_over_dds_and_reads_back(tmp_path):
    said = []
    folders = record("mug", [3], tmp_path / "captures", tmp_path / "log", lambda *step: said.append(step))
    video = read_capture(folders[0])
    assert len(video.frames) >= 46  # of 48; the first may come before their joint state
    assert video.metric
    assert all(frame.mask is not None and frame.mask.any() for frame in video.frames)
    assert "mug_003" in read_truth(tmp_path / "captures")
    assert said[-1] == ("record", 1, 1, "mug_003")
    before = [path.stat().st_mtime_ns for path in sorted(folders[0].iterdir())]
    record("mug", [3], tmp_path / "captures", tmp_path / "log", lambda *step: None)
    assert [path.stat().st_mtime_ns for path in sorted(folders[0].iterdir())] == before


def test_a_node_that_ends_badly_is_reported_with_its_last_words(tmp_path):
    with (
        ros_environment() as environment,
        NodeProcess(
            "demo_recorder", environment, tmp_path / "log.txt", seeds=[1, 2], names=["one"]
        ) as node,
        pytest.raises(SurfposeError, match=r"2 seeds but 1 names.*log\.txt"),
    ):
        list(node.lines())


def test_nodes_of_two_demos_do_not_hear_each_other():
    with ros_environment() as one, ros_environment() as other:
        assert one["ROS_DOMAIN_ID"] != other["ROS_DOMAIN_ID"]
        assert one["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
