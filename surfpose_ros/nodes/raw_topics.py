"""Subscriptions that fit whatever publishes: its type, reliability and durability; serialised messages out.

A best-effort publisher and a reliable subscriber would never meet, and best effort loses large images
that a reliable publisher would send again. So each topic begins best effort, and follows its publishers.
"""

import importlib
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from surfpose_ros.errors import SurfposeError

LATCHED_KEPT = 50
SMALL_DEPTH = 100
FRESH_S = 3.0

# Types that a role may have, the usual one first.
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
KINDS: Mapping[str, tuple[str, ...]] = {
    "image": IMAGES,
    "depth": IMAGES,
    "background": IMAGES,
    "mask": IMAGES,
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
    "joint_states": ("sensor_msgs/msg/JointState",),
    "detections_2d": ("vision_msgs/msg/Detection2DArray",),
    "/tf": ("tf2_msgs/msg/TFMessage",),
    "/tf_static": ("tf2_msgs/msg/TFMessage",),
}


@dataclass(frozen=True)
class RawMessage:
    """A message as it came.

    Attributes:
        role: the name that was asked for.
        topic: the resolved name.
        type_name: such as ``sensor_msgs/msg/Image``.
        data: CDR bytes.
        arrived: nanoseconds of the node's clock.
    """

    role: str
    topic: str
    type_name: str
    data: bytes
    arrived: int

    @property
    def stamp(self) -> int:
        """Of the header, nanoseconds, for types that begin with one; 0 if the message is cut short."""
        if len(self.data) < 12:
            return 0
        order = "<" if self.data[1] & 1 else ">"
        sec, nanosec = struct.unpack_from(f"{order}iI", self.data, 4)
        return sec * 10**9 + nanosec

    def content(self) -> Any:
        """The message itself.

        Raises:
            SurfposeError: the bytes are no message of that type.
        """
        try:
            return deserialize_message(self.data, message_class(self.type_name))
        except Exception as error:  # rclpy raises whatever the type support trips over
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SurfposeError(f"{self.topic}: not a valid {self.type_name} ({reason})") from error


@dataclass(frozen=True)
class _Offer:
    """What the publishers of a topic agree on."""

    type_name: str
    reliable: bool = False
    latched: bool = False


@dataclass
class _Topic:
    role: str
    name: str
    offer: _Offer | None = None
    subscription: Subscription | None = None
    published: bool = False
    problem: str = ""
    kept: deque = field(default_factory=lambda: deque(maxlen=LATCHED_KEPT))
    # Nanoseconds of the machine's own time: a simulated clock may stand still or jump.
    arrivals: deque = field(default_factory=lambda: deque(maxlen=60))  # by the present subscription
    last: int | None = None  # arrival by any


class RawTopics:
    """The topics of some roles; calls `receive` with each message. Call `discover` every second."""

    def __init__(
        self, node: Node, roles: Sequence[str], receive: Callable[[RawMessage], None], depth: int
    ) -> None:
        """Subscribe; `depth` images of a topic wait while the node is busy, and more of small messages."""
        self._node = node
        self._receive = receive
        self._depth = depth
        self._topics = {role: _Topic(role, node.resolve_topic_name(role)) for role in roles}
        self.discover()

    def discover(self) -> None:
        """Follow the publishers that there are now."""
        for topic in self._topics.values():
            publishers = self._node.get_publishers_info_by_topic(topic.name)
            topic.published = bool(publishers)
            offer = self._offer(topic, publishers)
            if offer is not None and offer != topic.offer:
                self._subscribe(topic, offer)

    def destroy(self) -> None:
        """Take the subscriptions away."""
        for topic in self._topics.values():
            if topic.subscription:
                self._node.destroy_subscription(topic.subscription)
        self._topics.clear()

    def names(self) -> dict[str, str]:
        """Resolved name of each role of which something has come."""
        return {role: topic.name for role, topic in self._topics.items() if topic.arrivals}

    def latched(self) -> list[RawMessage]:
        """The kept messages of latched topics, such as /tf_static."""
        return [message for topic in self._topics.values() for message in topic.kept]

    def missing(self, roles: Sequence[str]) -> str:
        """Why one of some topics does not arrive, "" if all do."""
        for role in roles:
            topic = self._topics[role]
            if topic.problem:
                return topic.problem
            age = None if topic.last is None else (time.monotonic_ns() - topic.last) / 1e9
            if topic.arrivals and age is not None and age <= FRESH_S:
                continue
            if not topic.published:
                return f"nobody publishes {topic.name}; start the camera, or remap {role}:=<its topic>"
            if age is None:
                return f"{topic.name} has a publisher but nothing has come; is the camera running?"
            return f"nothing has come on {topic.name} for {age:.0f} s; is the camera running?"
        return ""

    def rates(self) -> dict[str, str]:
        """Messages a second of each topic that has come."""
        return {topic.name: _rate(topic.arrivals) for topic in self._topics.values() if topic.arrivals}

    def _offer(self, topic: _Topic, publishers: list) -> _Offer | None:
        allowed = KINDS.get(topic.role, ())
        if not publishers:
            usual = allowed[0] if allowed else ""
            return topic.offer or (_Offer(usual) if usual and message_class(usual) else None)
        type_name = publishers[0].topic_type
        profiles = [publisher.qos_profile for publisher in publishers]
        topic.problem = ""
        if allowed and type_name not in allowed:
            topic.problem = f"{topic.name} is of type {type_name} and should be {' or '.join(allowed)}"
        elif message_class(type_name) is None:
            package = type_name.split("/")[0].replace("_", "-")
            topic.problem = (
                f"{topic.name} is of type {type_name}, which is not installed here: "
                f"apt install ros-$ROS_DISTRO-{package}"
            )
        if topic.problem:
            return None
        return _Offer(
            type_name,
            all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in profiles),
            all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles),
        )

    def _subscribe(self, topic: _Topic, offer: _Offer) -> None:
        if topic.subscription:
            self._node.destroy_subscription(topic.subscription)
        topic.offer = offer
        topic.arrivals.clear()  # what the new subscription misses until it is connected counts as missing
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self._depth if offer.type_name in IMAGES and not offer.latched else SMALL_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if offer.reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if offer.latched else DurabilityPolicy.VOLATILE,
        )

        def receive(data: bytes) -> None:
            now = time.monotonic_ns()
            stamp = self._node.get_clock().now().nanoseconds
            message = RawMessage(topic.role, topic.name, offer.type_name, data, stamp)
            topic.arrivals.append(now)
            topic.last = now
            if offer.latched:
                topic.kept.append(message)
            self._receive(message)

        kind = message_class(offer.type_name)
        topic.subscription = self._node.create_subscription(kind, topic.name, receive, qos, raw=True)


def message_class(type_name: str) -> type | None:
    """The class of a name such as ``sensor_msgs/msg/Image``; None where its package is missing."""
    package, folder, name = type_name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{folder}"), name, None)
    except ImportError:
        return None


def _rate(arrivals: deque) -> str:
    span = (arrivals[-1] - arrivals[0]) / 1e9
    return f"{(len(arrivals) - 1) / span:.1f} Hz" if span > 0 else "once"
