"""pose_node lives through whatever comes, says what was wrong, and serves the next good image."""

import itertools
import time

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image, encode_jpeg

from .camera import CAMERA, PICTURE, boxes, corrupted, header, show

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")


FAULTS = {
    "zero intrinsics": lambda: (PICTURE, {"k": [0.0] * 9}, "calibrate"),
    "NaN intrinsics": lambda: (PICTURE, {"k": [float("nan")] * 9}, "not a finite"),
    "another size": lambda: (PICTURE[:120], {}, "320x120"),
    "unknown lens": lambda: (PICTURE, {"distortion_model": "odd", "d": [0.1] * 5}, "'odd'"),
}


def test_faults_are_said_and_the_next_good_image_is_served(talker, start, untrained_model):
    child = start("pose_node", models=[str(untrained_model())], threshold=0.0)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)

    def recovers(after: str) -> None:
        count = len(detections)
        talker.until(lambda: len(detections) > count, f"poses after {after}", lambda: show(talker))
        assert child.poll() is None

    recovers("the start")
    for name, fault in FAULTS.items():
        picture, wrong, says = fault()

        def publish(picture=picture, wrong=wrong):
            shown = header()
            info = encode_camera_info(CAMERA, shown)
            for field, value in wrong.items():
                setattr(info, field, value)
            talker.publish("camera_info", info)
            talker.publish("image", encode_image(picture, shown))

        talker.until(talker.says("pose_node: poses", says), f"{name} to be said", publish)
        recovers(name)

    def cut_short():
        message = encode_image(PICTURE, header())
        message.data = message.data[: len(message.data) // 2]
        show(talker)
        talker.publish("image", message)

    talker.until(talker.says("pose_node: poses", "cut it short"), "truncated data to be said", cut_short)
    recovers("truncated data")

    small = Camera(CAMERA.matrix, 160, 120)
    wanted = len(detections) + 2
    talker.until(
        lambda: len(detections) >= wanted,
        "poses of another size and encoding",
        lambda: show(talker, PICTURE[:120, :160], small),
    )
    hour_ago = time.time_ns() - 3600 * 10**9
    steps = iter(range(10**6))
    talker.until(
        lambda: any(m.header.stamp.sec == hour_ago // 10**9 for m in detections),
        "poses after the clock was set back",
        lambda: show(talker, at=hour_ago + next(steps)),
    )
    talker.until(
        talker.says("pose_node: latency", "clocks"),
        "the old stamps to be said",
        lambda: show(talker, at=hour_ago + next(steps)),
    )
    recovers("the clock came back")

    rng = np.random.default_rng(1)
    for number in range(200):
        garbage = bytes([0, 1, 0, 0]) + rng.bytes(int(rng.integers(0, 4000)))
        talker.publish("image", garbage[: None if number % 3 else 7], Image)
        talker.publish("camera_info", garbage, CameraInfo)
        if number % 10 == 0:
            talker.spin(0.02)
    talker.until(talker.says("pose_node: poses", "not a valid"), "malformed messages to be said")
    recovers("malformed messages")


def test_a_camera_that_stalls_for_ten_seconds_is_missed_and_its_next_image_is_served(
    talker, start, untrained_model
):
    start("pose_node", models=[str(untrained_model())], threshold=0.0)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)
    talker.until(lambda: detections, "poses", lambda: show(talker))
    talker.spin(10.0)
    assert "nothing has come on /image for" in talker.status("pose_node: inputs").message
    assert talker.status("pose_node: poses").message.startswith("none: nothing has come on /image for")
    shown = show(talker)
    talker.until(lambda: detections[-1].header.stamp == shown.stamp, "the pose in the first image after")
    talker.until(talker.says("pose_node: poses", "objects seen"), "the recovery to be said")
    show(talker)
    talker.until(talker.says("pose_node: inputs", "images arrive"), "the recovery to be said")


def test_on_simulated_time_without_a_clock_the_node_starts_serves_and_says_how_it_is(
    talker, start, untrained_model
):
    start("pose_node", models=[str(untrained_model())], threshold=0.0, use_sim_time=True)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)
    talker.until(lambda: detections, "poses", lambda: show(talker))
    talker.until(talker.says("pose_node: inputs", "images arrive"), "a report", lambda: show(talker))
    talker.until(talker.says("pose_node: inputs", "nothing has come"), "the end of the images to be missed")


def test_malformed_depth_and_boxes_are_said_and_the_next_good_ones_are_taken(
    talker, start, untrained_model
):
    child = start(
        "pose_node",
        models=[str(untrained_model())],
        threshold=0.0,
        use_depth=True,
        use_detections_2d=True,
    )
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)
    plane = np.full((240, 320), 700, np.uint16)

    def publish(shown, depth=None, found=None):
        talker.publish("depth", depth or encode_image(plane, shown, "16UC1"), Image)
        talker.publish(
            "detections_2d", found or boxes(shown, ("mug", 160.0, 80.0)), vision_msgs.Detection2DArray
        )

    def recovers(after: str) -> None:
        count = len(detections)
        talker.until(lambda: len(detections) > count, f"poses after {after}", lambda: publish(show(talker)))
        assert child.poll() is None

    recovers("the start")
    for number in range(200):
        shown = show(talker)
        publish(shown, depth=corrupted(encode_image(plane, shown, "16UC1"), number))
        talker.spin(0.01)
    talker.until(
        talker.says("pose_node: poses", "/depth"),
        "malformed depth to be said",
        lambda: publish(shown := show(talker), depth=encode_image(plane[:9], shown, "16UC1")),
    )
    recovers("malformed depth")
    for number in range(200):
        shown = show(talker)
        publish(shown, found=corrupted(boxes(shown, ("mug", 160.0, 80.0)), number))
        talker.spin(0.01)
    talker.until(
        talker.says("pose_node: poses", "detections_2d"),
        "malformed boxes to be said",
        lambda: publish(shown := show(talker), found=boxes(shown, ("mug", float("nan"), 80.0))),
    )
    recovers("malformed boxes")


def test_damaged_compressed_images_are_said_and_the_next_good_one_is_served(talker, start, untrained_model):
    start("pose_node", models=[str(untrained_model())], threshold=0.0)
    detections = talker.listen("/pose_node/detections", vision_msgs.Detection3DArray)

    def show_jpeg(number: int | None = None):
        shown = header()
        image = encode_jpeg(PICTURE, shown)
        talker.publish("camera_info", encode_camera_info(CAMERA, shown))
        talker.publish("image", image if number is None else corrupted(image, number), CompressedImage)

    talker.until(lambda: detections, "poses", show_jpeg)
    numbers = itertools.count()
    for _ in range(200):
        show_jpeg(next(numbers))
        talker.spin(0.01)
    talker.until(
        talker.says("pose_node: poses", "none: /image"),
        "damaged images to be said",
        lambda: show_jpeg(next(numbers)),
    )
    count = len(detections)
    talker.until(lambda: len(detections) > count, "poses after damaged images", show_jpeg)
