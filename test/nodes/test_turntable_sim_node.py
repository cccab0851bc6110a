"""turntable_sim_node recorded by capture_node reads back as the truth."""

import numpy as np
from geometry_msgs.msg import PoseStamped

from surfpose_ros.messages.poses import matrix_from_pose
from surfpose_ros.video.reader import read_capture


def test_a_recorded_turntable_has_the_camera_poses_of_the_simulation(talker, start, tmp_path):
    truths = talker.listen("/turntable_sim_node/ground_truth", PoseStamped)
    start("capture_node", category="mug", output_dir=str(tmp_path))
    start(
        "turntable_sim_node",
        width=160,
        height=120,
        rate=10.0,
        turn_rate=200.0,
        elevations=[20.0, 50.0],
        seed=3,
    )
    talker.until(talker.says("capture_node: inputs", "topics arrive"), "the simulation")
    assert talker.set_parameter("turntable_sim_node", "running", False) == ""
    assert talker.trigger("/capture_node/start").success
    assert talker.set_parameter("turntable_sim_node", "seed", 5) == ""
    talker.spin(0.5)
    truths.clear()
    assert talker.set_parameter("turntable_sim_node", "running", True) == ""
    talker.until(lambda: len(truths) > 38, "two turns")
    talker.spin(1.0)
    assert talker.trigger("/capture_node/stop").success
    video = read_capture(tmp_path / "mug_01")
    assert (video.pose_source, video.metric) == ("turntable", True)
    exact = {t.header.stamp.sec * 10**9 + t.header.stamp.nanosec: matrix_from_pose(t.pose) for t in truths}
    objects = []
    for frame in video.frames:
        nearest = min(exact, key=lambda stamp: abs(stamp - frame.stamp * 1e9))
        if abs(nearest - frame.stamp * 1e9) > 1e5:
            continue
        objects.append(np.linalg.inv(frame.camera_from_video) @ exact[nearest])
    assert len(objects) > 30
    # The object stands still on the disc, whose frame is the video's.
    assert np.abs(np.array(objects) - objects[0]).max() < 1e-6
    assert all(frame.mask is not None and 0.02 < frame.mask.mean() < 0.5 for frame in video.frames)
