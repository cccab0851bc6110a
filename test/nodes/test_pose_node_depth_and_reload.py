"""pose_node with a depth camera, and with models that change on the disk."""

import shutil

import numpy as np
import pytest

from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image

from .camera import CAMERA, PICTURE, boxes, header, show

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")


@pytest.mark.parametrize(
    ("plane", "encoding"),
    [
        (np.full((240, 320), 700, np.uint16), "16UC1"),
        (np.full((240, 320), 0.7, np.float32), "32FC1"),
    ],
)
def test_depth_makes_poses_metric_that_would_not_be_so_without(
    talker, start, untrained_model, plane, encoding
):
    start(
        "pose_node",
        models=[str(untrained_model(metric=False))],
        threshold=0.0,
        use_depth=True,
        use_detections_2d=True,
    )
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)

    def show_all(ahead_ns: int = 0):
        shown = show(talker)
        talker.publish("detections_2d", boxes(shown, ("mug", 159.5, 90.0)))
        stamp = shown.stamp.sec * 10**9 + shown.stamp.nanosec + ahead_ns
        talker.publish("depth", encode_image(plane, header(stamp), encoding))

    talker.until(talker.says("pose_node: poses", "nobody publishes /depth"), "the depth to be missed",
                 lambda: show(talker))  # fmt: skip
    assert not detections
    talker.until(
        talker.says("pose_node: poses", "match no image"),
        "depth by another clock to be said",
        lambda: show_all(ahead_ns=10**12),
    )
    assert not detections
    talker.until(lambda: detections and detections[-1].detections, "poses", show_all)
    # The box is 90 pixels wide through a lens of 300, 0.7 m away: the object is some 0.2 m large.
    found = detections[-1].detections[0].bbox
    assert found.center.position.z == pytest.approx(0.7, abs=0.15)
    assert np.linalg.norm([found.size.x, found.size.y, found.size.z]) == pytest.approx(0.25, abs=0.15)
    talker.until(talker.says("pose_node: poses", "objects seen"), "that to be said")


def test_depth_of_another_size_or_encoding_is_said(talker, start, untrained_model):
    start("pose_node", models=[str(untrained_model())], threshold=0.0, use_depth=True)

    def show_with(depth, encoding):
        shown = header()
        talker.publish("image", encode_image(PICTURE, shown))
        talker.publish("camera_info", encode_camera_info(CAMERA, shown))
        talker.publish("depth", encode_image(depth, shown, encoding))

    for depth, encoding, says in (
        (np.ones((120, 160), np.float32), "32FC1", "registered"),
        (PICTURE, "rgb8", "16UC1 (millimetres)"),
    ):
        talker.until(
            talker.says("pose_node: poses", says),
            f"{encoding} depth to be said",
            lambda depth=depth, encoding=encoding: show_with(depth, encoding),
        )


def test_a_model_that_changed_on_the_disk_takes_over_on_reload_and_a_broken_one_does_not(
    talker, start, untrained_model, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(untrained_model("mug"), folder)
    start("pose_node", models=[str(folder)], threshold=0.0)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)

    def sees(category: str) -> bool:
        return bool(detections) and {
            result.hypothesis.class_id for item in detections[-1].detections for result in item.results
        } == {category}

    talker.until(lambda: sees("mug"), "mugs", lambda: show(talker))
    shutil.rmtree(folder)
    assert talker.trigger("/pose_node/reload").success
    talker.until(talker.says("pose_node: models", "still looking for mug"), "the missing model to be said")
    detections.clear()
    talker.until(lambda: sees("mug"), "the old model to stay", lambda: show(talker))
    shutil.copytree(untrained_model("cup"), folder)
    assert talker.trigger("/pose_node/reload").success
    talker.until(lambda: sees("cup"), "the new model to take over", lambda: show(talker))


def test_a_node_without_its_model_configures_on_reload_once_the_model_is_there(
    talker, start, untrained_model, tmp_path
):
    folder = tmp_path / "model"
    start("pose_node", models=[str(folder)], threshold=0.0)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)
    talker.until(talker.says("pose_node: models", "no such model folder"), "the reason")
    shutil.copytree(untrained_model(), folder)
    assert talker.trigger("/pose_node/reload").success
    talker.until(lambda: detections, "poses", lambda: show(talker))
