"""The camera_info that belongs to an image: of the same stamp where there is one, else the latest."""

import threading
from collections import deque

from surfpose_ros.nodes.raw_topics import RawMessage


class CameraInfos:
    """The last messages; `put` from one thread, `at` from another."""

    def __init__(self, kept: int = 30, patience_s: float = 0.1) -> None:
        """`patience_s`: how long an image waits for its own camera_info, if they come with equal stamps."""
        self._recent: deque[RawMessage] = deque(maxlen=kept)
        self._patience = patience_s
        self._paired = True
        self._condition = threading.Condition()

    def put(self, message: RawMessage) -> None:
        """Take in a message."""
        with self._condition:
            self._recent.append(message)
            self._condition.notify()

    def at(self, stamp: int) -> RawMessage | None:
        """The message for an image of that stamp; None if none has come at all."""
        with self._condition:
            if self._paired:
                self._paired = self._condition.wait_for(
                    lambda: self._of(stamp) is not None, timeout=self._patience
                )
            own = self._of(stamp)
            self._paired = own is not None
            return own or (self._recent[-1] if self._recent else None)

    def _of(self, stamp: int) -> RawMessage | None:
        return next((message for message in reversed(self._recent) if message.stamp == stamp), None)
