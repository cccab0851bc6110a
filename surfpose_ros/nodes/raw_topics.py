"""Subscribes to topics as they appear, whatever their type and QoS, and hands on serialised messages."""

import importlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from surfpose_ros.video.recorder import can_record

DEPTH = 100  # messages that wait while the node is busy
LATCHED_KEPT = 50
FRESH_S = 2.0


@dataclass(frozen=True)
class RawMessage:
    """A message as it came.

    Attributes:
        role: the name that was asked for.
        topic: the resolved name.
        type_name: such as ``sensor_msgs/msg/Image``.
        kind: its class.
        data: CDR bytes.
        stamp: when it came, nanoseconds of the node's clock.
    """

    role: str
    topic: str
    type_name: str
    kind: type
    data: bytes
    stamp: int


@dataclass
class _Topic:
    role: str
    name: str
    subscription: Subscription | None = None
    type_name: str = ""
    problem: str = ""
    latched: bool = False
    kept: deque = field(default_factory=lambda: deque(maxlen=LATCHED_KEPT))
    arrivals: deque = field(default_factory=lambda: deque(maxlen=60))


class RawTopics:
    """The topics of a list of names; call `discover` now and then for those that had no publisher."""

    def __init__(self, node: Node, names: Sequence[str], receive: Callable[[RawMessage], None]) -> None:
        self._node = node
        self._receive = receive
        self._topics = {name: _Topic(name, node.resolve_topic_name(name)) for name in names}
        self.discover()

    def discover(self) -> None:
        """Subscribe to topics that have a publisher by now."""
        for topic in self._topics.values():
            if topic.subscription is None:
                self._subscribe(topic)

    def names(self) -> dict[str, str]:
        """Resolved name of each role that has come at least once."""
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
            if topic.subscription is None:
                return f"nobody publishes {topic.name}; start the camera, or remap {role}:=<its topic>"
            if not topic.arrivals:
                return f"{topic.name} has a publisher but nothing has come; check its QoS and the camera"
            age = (self._now() - topic.arrivals[-1]) / 1e9
            if age > FRESH_S:
                return f"nothing has come on {topic.name} for {age:.0f} s; check the camera"
        return ""

    def rates(self) -> dict[str, str]:
        """Messages a second of each topic that has come."""
        return {topic.name: _rate(topic.arrivals) for topic in self._topics.values() if topic.arrivals}

    def _subscribe(self, topic: _Topic) -> None:
        publishers = self._node.get_publishers_info_by_topic(topic.name)
        if not publishers:
            return
        type_name = publishers[0].topic_type
        kind = _message_class(type_name)
        topic.type_name = type_name
        if kind is None or not can_record(type_name):
            topic.problem = f"{topic.name} is of type {type_name}, which is not installed or not known here"
            return
        topic.problem = ""
        profiles = [publisher.qos_profile for publisher in publishers]
        reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in profiles)
        topic.latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in profiles)
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE),
        )

        def receive(data: bytes) -> None:
            stamp = self._now()
            message = RawMessage(topic.role, topic.name, type_name, kind, data, stamp)
            topic.arrivals.append(stamp)
            if topic.latched:
                topic.kept.append(message)
            self._receive(message)

        topic.subscription = self._node.create_subscription(kind, topic.name, receive, qos, raw=True)

    def _now(self) -> int:
        return self._node.get_clock().now().nanoseconds


def _message_class(type_name: str) -> type | None:
    """The class of a name such as ``sensor_msgs/msg/Image``; None where its package is missing."""
    package, folder, name = type_name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{folder}"), name, None)
    except ImportError:
        return None


def _rate(arrivals: deque) -> str:
    span = (arrivals[-1] - arrivals[0]) / 1e9
    return f"{(len(arrivals) - 1) / span:.1f} Hz" if span > 0 else "once"
