"""Hands the newest image, with what belongs to it, from the callbacks to the thread that works on it.

Never a queue: an image that a newer one overtakes is dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from surfpose_ros.nodes.raw_topics import RawMessage

KEPT = 30  # messages of each input that may still find their partner


@dataclass(frozen=True)
class FrameMessages:
    """An image and the messages that belong to it, by role."""

    image: RawMessage
    partners: dict[str, RawMessage]


class NewestFrame:
    """A place for one frame; `put` from one thread, `take` from another.

    Attributes:
        dropped: images that were never taken.
    """

    def __init__(self, partners: Collection[str] = (), tolerance_s: float = 0.0) -> None:
        """`partners` are roles without a message of which, at most `tolerance_s` off, no image counts."""
        self.dropped = 0
        self._tolerance = round(tolerance_s * 1e9)
        self._recent = {role: deque(maxlen=KEPT) for role in ("image", *partners)}
        self._partners = tuple(partners)
        self._frame: FrameMessages | None = None
        self._last_stamp = 0
        self._condition = threading.Condition()
        self._closed = False

    def put(self, message: RawMessage) -> None:
        """Take in an image or one of its partners."""
        with self._condition:
            if message.role == "image" and message.stamp < self._last_stamp:
                self._start_over()  # the clock was set back, or a bag plays again
            self._recent[message.role].append(message)
            frame = self._newest_whole()
            if frame is None:
                return
            if self._frame is not None:
                self.dropped += 1
            self._last_stamp = frame.image.stamp
            self._frame = frame
            self._condition.notify()

    def take(self) -> FrameMessages | None:
        """Wait for a frame; None once closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._frame is not None or self._closed)
            frame, self._frame = self._frame, None
            return None if self._closed else frame

    def unmatched(self) -> bool:
        """Whether images come, but no partners that fit."""
        with self._condition:
            images = self._recent["image"]
            return len(images) == KEPT and images[0].stamp > self._last_stamp

    def close(self) -> None:
        """Wake the taker up for good."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _newest_whole(self) -> FrameMessages | None:
        """The newest image, not used before, all of whose partners are there."""
        for image in reversed(self._recent["image"]):
            if image.stamp == self._last_stamp and self._last_stamp:
                return None
            partners = {role: self._nearest(role, image.stamp) for role in self._partners}
            if all(partners.values()):
                return FrameMessages(image, partners)
        return None

    def _nearest(self, role: str, stamp: int) -> RawMessage | None:
        best = min(self._recent[role], key=lambda m: abs(m.stamp - stamp), default=None)
        return best if best is not None and abs(best.stamp - stamp) <= self._tolerance else None

    def _start_over(self) -> None:
        for messages in self._recent.values():
            messages.clear()
        self._last_stamp = 0
