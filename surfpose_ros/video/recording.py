"""What a bag holds besides pictures: which topic plays which role, intrinsics, TF, joint angles, stamps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.bag import read_messages, read_topics
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.pictures import Rectifier
from surfpose_ros.video.transforms import JointTrack, TransformTree

_IMAGE_KINDS = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
_KIND_OF_ROLE = {
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
    "tf": ("tf2_msgs/msg/TFMessage",),
    "tf_static": ("tf2_msgs/msg/TFMessage",),
    "joint_states": ("sensor_msgs/msg/JointState",),
}
_SPECIAL = ("mask", "depth", "background")


@dataclass(frozen=True)
class Recording:
    """The small content of a bag.

    Attributes:
        folder: of the capture, for messages.
        topics: role to topic, those found out by type included.
        image_stamps: of all image messages, in order, without repeats.
        optical_frame: TF frame of the camera, from the images' headers.
        tree: all TF.
        joint: the turntable's joint over time.
    """

    folder: Path
    topics: dict[str, str]
    image_stamps: list[int]
    optical_frame: str
    tree: TransformTree
    joint: JointTrack
    _rectifiers: list[tuple[int, Rectifier]]

    def rectifier(self, stamp: int) -> Rectifier:
        """The intrinsics that hold at a stamp: the latest camera_info up to it, else the first."""
        latest = [rectifier for when, rectifier in self._rectifiers if when <= stamp]
        return latest[-1] if latest else self._rectifiers[0][1]


def read_recording(folder: Path, info: CaptureInfo) -> Recording:
    """Go through a bag once, for everything but the pictures.

    Raises:
        SurfposeError: damaged bag; no images, no camera_info, or intrinsics that are none.
    """
    topics = _find_topics(folder, info, read_topics(folder))
    stamps: set[int] = set()
    optical_frame = ""
    tree, joint = TransformTree(), JointTrack(info.joint)
    infos: list[tuple[int, Any]] = []
    wanted = [
        topics[role]
        for role in ("image", "camera_info", "tf", "tf_static", "joint_states")
        if role in topics
    ]
    for message in read_messages(folder, wanted):
        if message.topic == topics["image"]:
            stamps.add(message.stamp)
            optical_frame = optical_frame or message.content.header.frame_id.lstrip("/")
        elif message.topic == topics["camera_info"]:
            infos.append((message.stamp, message.content))
        elif message.topic == topics.get("joint_states"):
            joint.add(message.content, message.stamp)
        else:
            tree.add(message.content, static=message.topic == topics.get("tf_static"))
    rectified = "rect" in topics["image"].split("/")[-1] or "rect" in topics["image"].split("/")[-2]
    rectifiers = _rectifiers(infos, rectified, f"{folder}: {topics['camera_info']}")
    return Recording(folder, topics, sorted(stamps), optical_frame, tree, joint, rectifiers)


def _rectifiers(infos: list[tuple[int, Any]], rectified: bool, where: str) -> list[tuple[int, Rectifier]]:
    """One rectifier for each run of equal camera_info messages."""
    rectifiers: list[tuple[int, Rectifier]] = []
    last = None
    for stamp, info in sorted(infos, key=lambda pair: pair[0]):
        key = (info.width, info.height, *np.asarray(info.k), *np.asarray(info.d), *np.asarray(info.p))
        if key != last:
            rectifiers.append((stamp, Rectifier(info, rectified, where)))
        last = key
    return rectifiers


def _find_topics(folder: Path, info: CaptureInfo, recorded: dict[str, str]) -> dict[str, str]:
    topics: dict[str, str] = {}
    for role, topic in info.topics.items():
        if topic in recorded:
            _check_role(folder, role, topic, recorded[topic], topics)
            topics[role] = topic
        elif role == "image":
            raise SurfposeError(
                f"{folder}: no images on {topic}; the bag has {', '.join(sorted(recorded))}. "
                "Correct topics in capture.yaml, or record again"
            )
    taken = set(topics.values())
    pictures = sorted(
        (_IMAGE_KINDS.index(kind), topic)
        for topic, kind in recorded.items()
        if kind in _IMAGE_KINDS and topic not in taken
    )
    for role in _SPECIAL:
        named = [topic for _, topic in pictures if role in topic]
        if role not in topics and named:
            topics[role] = named[0]
    plain = [topic for _, topic in pictures if not any(role in topic for role in _SPECIAL)]
    if "image" not in topics and plain:
        topics["image"] = plain[0]
    if "image" not in topics:
        raise SurfposeError(
            f"{folder}: the bag has no images (topics: {', '.join(sorted(recorded))}); record "
            "sensor_msgs/Image or CompressedImage"
        )
    for role, kinds in _KIND_OF_ROLE.items():
        fitting = sorted(topic for topic, kind in recorded.items() if kind in kinds)
        if role.startswith("tf"):
            fitting = [topic for topic in fitting if topic.endswith("tf_static") == (role == "tf_static")]
        if role == "camera_info":
            # The camera_info of the image's own camera, where there are several.
            fitting.sort(key=lambda topic: -_common_start(topic, topics["image"]))
        if role not in topics and fitting:
            topics[role] = fitting[0]
    if "camera_info" not in topics:
        raise SurfposeError(
            f"{folder}: no camera_info beside {topics['image']}; record the camera's camera_info topic too "
            "(calibrate the camera if it publishes none)"
        )
    return topics


def _check_role(folder: Path, role: str, topic: str, kind: str, topics: dict[str, str]) -> None:
    """Refuse a topic that `capture.yaml` gives a role which it cannot play, or a second one."""
    others = [other for other, taken in topics.items() if taken == topic]
    if others:
        raise SurfposeError(f"{folder}: capture.yaml names {topic} for {others[0]} and {role}; correct it")
    if kind not in _KIND_OF_ROLE.get(role, _IMAGE_KINDS):
        raise SurfposeError(f"{folder}: capture.yaml names {topic} for {role}, and it is of type {kind}")


def _common_start(first: str, second: str) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
