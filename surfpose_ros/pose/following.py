"""Whether an image must be searched whole, or only where the objects of the last one should be by now."""

from dataclasses import dataclass

import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.looking import Box
from surfpose_ros.pose.tracking import Track, Tracker

MOST_GROWTH = 1.25  # of a box between two images: distances are told too roughly to believe in more


@dataclass
class Follower:
    """Tells where to look in each image; searching it whole costs several times as much.

    Attributes:
        tracker: follows the objects; to be updated with what is found in each image.
    """

    tracker: Tracker
    _searched: float | None = None

    def where(self, stamp: float, camera: Camera, period: float) -> dict[str, list[Box]] | None:
        """Where objects should be in an image of `camera`, by category; None to search the whole image.

        That is to be searched while nothing is followed, after an object that was followed has gone
        missing, and at least every `period` seconds, for new ones.
        """
        boxes = self._boxes(stamp, camera)
        if not boxes or self._searched is None or not 0 <= stamp - self._searched < period:
            self._searched = stamp
            return None
        return boxes

    def _boxes(self, stamp: float, camera: Camera) -> dict[str, list[Box]]:
        """Of all objects; empty if one is missing."""
        boxes: dict[str, list[Box]] = {}
        for category, tracks in self.tracker.alive(stamp).items():
            for track in tracks:
                box = predicted_box(track, stamp, camera)
                x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
                here = 0 <= x <= camera.width and 0 <= y <= camera.height
                if stamp < track.stamp or not track.followed or not here:
                    return {}
                boxes.setdefault(category, []).append(box)
        return boxes


def predicted_box(track: Track, stamp: float, camera: Camera) -> Box:
    """The box of a track's last detection, moved and scaled as its centre will have moved by `stamp`."""
    x, y, width, height = track.box
    before, after = track.position, track.position_at(stamp)
    if min(before[2], after[2]) <= 0:
        return track.box
    shift = (camera.matrix @ (after / after[2]) - camera.matrix @ (before / before[2]))[:2]
    growth = float(np.clip(before[2] / after[2], 1 / MOST_GROWTH, MOST_GROWTH))
    centre_x, centre_y = x + width / 2 + shift[0], y + height / 2 + shift[1]
    width, height = width * growth, height * growth
    return float(centre_x - width / 2), float(centre_y - height / 2), width, height
