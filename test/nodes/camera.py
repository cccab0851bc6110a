"""A camera for the tests of pose_node: one picture, its camera_info, and what may be wrong with them."""

import time
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.poses import stamp_message

CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]), 320, 240)
PICTURE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def header(nanoseconds: int | None = None) -> Header:
    stamp = time.time_ns() if nanoseconds is None else nanoseconds
    return Header(stamp=stamp_message(stamp), frame_id="camera_optical_frame")


def show(talker, picture=PICTURE, camera=CAMERA, at: int | None = None) -> Header:
    """Publish an image and its camera_info."""
    shown = header(at)
    talker.publish("image", encode_image(picture, shown))
    talker.publish("camera_info", encode_camera_info(camera, shown))
    return shown


def boxes(shown: Header, *named: tuple[str, float, float]) -> Any:
    """A Detection2DArray of square boxes half-way down, each (class, x of the centre, side)."""
    from vision_msgs import msg as vision_msgs

    message = vision_msgs.Detection2DArray(header=shown)
    for name, x, side in named:
        box = vision_msgs.Detection2D()
        box.bbox.center.position.x, box.bbox.center.position.y = x, (CAMERA.height - 1) / 2
        box.bbox.size_x = box.bbox.size_y = side
        hypothesis = vision_msgs.ObjectHypothesis(class_id=name, score=1.0)
        box.results = [vision_msgs.ObjectHypothesisWithPose(hypothesis=hypothesis)]
        message.detections.append(box)
    return message


def corrupted(message: Any, number: int) -> bytes:
    """The message serialised and spoilt, each `number` otherwise: cut short, overwritten, or both.

    Its header stays, so that it is taken for the partner of the image of its stamp.
    """
    rng = np.random.default_rng(number)
    data = bytearray(serialize_message(message))
    begin = len(serialize_message(message.header))
    if number % 3 < 2:
        at = int(rng.integers(begin, len(data)))
        end = len(data) if number % 2 else at + 64
        data[at:end] = rng.bytes(len(data[at:end]))
    if number % 3 > 0:
        del data[int(rng.integers(begin, len(data))) :]
    return bytes(data)
