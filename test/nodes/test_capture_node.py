"""capture_node over DDS."""

import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import decode_image, encode_image
from surfpose_ros.messages.poses import stamp_message, transform_message
from surfpose_ros.video.capture import read_info

tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")

CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]), 320, 240)


def without_padding(image: bytes) -> bytes:
    """CDR of an rgb8 image in the frame "camera", less the bytes between its fields, which are not set."""
    return image[:23] + image[24:42] + image[44:]


class Turntable:
    """A camera, a joint and a static TF, one step at a time; remembers what it sent."""

    def __init__(self, talker, reliable: bool = True) -> None:
        self.talker, self.step, self.sent = talker, 0, []
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        self.images = talker.node.create_publisher(
            Image, "image", QoSProfile(depth=20, reliability=reliability)
        )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        static = talker.node.create_publisher(tf2_msgs.TFMessage, "/tf_static", latched)
        place = np.diag([1.0, 1, 1, 1])
        place[:3, 3] = [0.5, 0, 0.2]
        still = transform_message(place, Header(frame_id="base"), "camera")
        static.publish(tf2_msgs.TFMessage(transforms=[still]))

    def show(self) -> None:
        header = Header(stamp=stamp_message(time.time_ns()), frame_id="camera")
        picture = np.random.default_rng(self.step).integers(0, 256, (240, 320, 3), np.uint8)
        image = encode_image(picture, header)
        joint = JointState(
            header=header, name=["turntable_joint"], position=[np.radians(self.step * 15 % 360)]
        )
        self.talker.publish("joint_states", joint)
        self.talker.publish("camera_info", encode_camera_info(CAMERA, header))
        self.images.publish(image)
        self.sent.append(without_padding(serialize_message(image)))
        self.step += 1


def ready(talker) -> bool:
    return talker.says("capture_node: inputs", "topics arrive")()


@pytest.mark.parametrize("reliable", [True, False])
def test_a_recording_holds_every_image_byte_for_byte_and_the_guidance_follows(
    talker, start, tmp_path, reliable
):
    start("capture_node", category="mug", output_dir=str(tmp_path / "captures"), rings=1)
    guidance = talker.listen("/capture_node/guidance", DiagnosticArray)
    previews = talker.listen("/capture_node/preview", Image)
    refused = talker.trigger("/capture_node/start")
    assert not refused.success
    assert "nobody publishes /image" in refused.message
    table = Turntable(talker, reliable)
    talker.until(lambda: ready(talker), "capture_node to see the topics", table.show)
    assert talker.trigger("/capture_node/start").success
    first = len(table.sent)
    talker.until(lambda: guidance and "ring" in str(guidance[-1].status[0].values), "guidance", table.show)
    talker.until(lambda: previews, "a preview", table.show)
    for _ in range(30):
        table.show()
        talker.spin(0.03)
    talker.spin(0.5)
    stopped = talker.trigger("/capture_node/stop")
    assert stopped.success
    assert "LOST" not in stopped.message
    folder = tmp_path / "captures" / "mug_01"
    with Reader(folder) as reader:
        stored = [(c.topic, bytes(data)) for c, _, data in reader.messages()]
    images = [without_padding(data) for topic, data in stored if topic == "/image"]
    assert images == table.sent[len(table.sent) - len(images) :]
    assert len(images) >= len(table.sent) - first
    assert "/tf_static" in {topic for topic, _ in stored}
    info = read_info(folder)
    assert (info.category, info.topics["image"]) == ("mug", "/image")
    assert decode_image(previews[-1]).shape == (240, 320, 3)


def test_names_and_wrong_calls_are_answered_and_a_discarded_recording_is_gone(talker, start, tmp_path):
    start("capture_node", category="mug", output_dir=str(tmp_path / "captures"), object="red")
    table = Turntable(talker)
    talker.until(lambda: ready(talker), "capture_node to see the topics", table.show)
    folder = tmp_path / "captures" / "red"
    assert "nothing is being recorded" in talker.trigger("/capture_node/stop").message
    assert talker.trigger("/capture_node/start").success
    assert "already recording" in talker.trigger("/capture_node/start").message
    assert folder.exists()
    assert talker.trigger("/capture_node/discard").success
    assert not folder.exists()
    assert "a word" in talker.set_parameter("capture_node", "category", "a b/c")


def test_a_topic_of_an_unknown_type_is_left_out_and_said(talker, start, tmp_path):
    vision = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    start("capture_node", category="mug", output_dir=str(tmp_path / "captures"), extra_topics=["boxes"])
    table = Turntable(talker)

    def show():
        table.show()
        talker.publish("boxes", vision.Detection2DArray())

    talker.until(lambda: ready(talker), "capture_node to see the topics", show)
    assert talker.trigger("/capture_node/start").success
    talker.until(talker.says("capture_node: recording", "left out"), "the warning", show)
    assert "left out" in talker.status("capture_node: recording").message
    assert talker.trigger("/capture_node/stop").success
    with Reader(tmp_path / "captures" / "mug_01") as reader:
        assert "/boxes" not in {connection.topic for connection in reader.connections}


def test_a_killed_node_leaves_a_capture_that_the_next_one_finishes(talker, start, tmp_path):
    captures = tmp_path / "captures"
    child = start("capture_node", category="mug", output_dir=str(captures))
    table = Turntable(talker)
    talker.until(lambda: ready(talker), "capture_node to see the topics", table.show)
    assert talker.trigger("/capture_node/start").success
    bag = captures / "mug_01" / "mug_01.mcap"
    size = len(table.sent[0])
    talker.until(lambda: bag.exists() and bag.stat().st_size > 12 * size, "some of the bag", table.show)
    child.kill()
    child.wait()
    talker.heard["/diagnostics"].clear()
    start("capture_node", category="mug", output_dir=str(captures))
    talker.until(lambda: (captures / "mug_01" / "metadata.yaml").exists(), "the bag to be finished")
    with Reader(captures / "mug_01") as reader:
        images = [without_padding(bytes(d)) for c, _, d in reader.messages() if c.topic == "/image"]
    assert len(images) >= 11
    assert set(images) <= set(table.sent)
    talker.until(lambda: ready(talker), "the new node to see the topics", table.show)
    assert "mug_02" in talker.trigger("/capture_node/start").message


def test_a_signal_finishes_the_recording_under_way(talker, start, tmp_path):
    child = start("capture_node", category="mug", output_dir=str(tmp_path / "captures"))
    table = Turntable(talker)
    talker.until(lambda: ready(talker), "capture_node to see the topics", table.show)
    assert talker.trigger("/capture_node/start").success
    for _ in range(5):
        table.show()
        talker.spin(0.1)
    child.terminate()
    assert child.wait(timeout=30) == 0
    assert Path(tmp_path / "captures" / "mug_01" / "metadata.yaml").exists()
