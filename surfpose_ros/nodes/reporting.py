"""A node's own account of itself on /diagnostics: at once when it changes, and once a second."""

import re
import threading

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from surfpose_ros.messages.diagnostics import Level, Status, diagnostic_array
from surfpose_ros.nodes.steady import steady_timer


class Reporter:
    """Keeps the newest status of each part of a node and publishes them all; safe from any thread.

    What gets worse is also logged, once.
    """

    def __init__(self, node: Node, period_s: float = 1.0) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._statuses: dict[str, Status] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = steady_timer(node, period_s, self.publish)

    def report(self, status: Status) -> None:
        """Replace the status of that name; publish and log it if its level or message is new."""
        with self._lock:
            before = self._statuses.get(status.name)
            self._statuses[status.name] = status
        if before is None or _gist(before) != _gist(status):
            self._log(status, before)
            self.publish()

    def forget(self, name: str) -> None:
        """Report no more on that part."""
        with self._lock:
            self._statuses.pop(name, None)

    def publish(self) -> None:
        """Publish all statuses now."""
        with self._lock:
            statuses = [
                Status(f"{self._node.get_name()}: {s.name}", s.level, s.message, s.values)
                for s in self._statuses.values()
            ]
        if statuses and self._publisher.handle.pointer:
            self._publisher.publish(diagnostic_array(statuses, self._node.get_clock().now().to_msg()))

    def destroy(self) -> None:
        """Take the publisher and timer away."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _log(self, status: Status, before: Status | None) -> None:
        logger = self._node.get_logger()
        if status.level >= Level.ERROR:
            logger.error(f"{status.name}: {status.message}")
        elif status.level == Level.WARN:
            logger.warning(f"{status.name}: {status.message}")
        elif before is not None and before.level != Level.OK:
            logger.info(f"{status.name}: {status.message}")


def _gist(status: Status) -> tuple[Level, str]:
    """Level and message without its figures, which change all the time."""
    return status.level, re.sub(r"[\d.]+", "#", status.message)
