"""From where the camera sees the object just now, out of the live TF and joint messages."""

import numpy as np
from builtin_interfaces.msg import Time

from surfpose_ros.nodes.raw_topics import RawMessage
from surfpose_ros.video.guidance import LookedAt, view_direction
from surfpose_ros.video.transforms import JointTrack, TransformTree

KEPT = 2000  # TF messages; older ones are forgotten


class Viewpoint:
    """Takes in TF and joint states; says the view direction at a stamp."""

    def __init__(self, joint: str) -> None:
        self._joint_name = joint
        self._static: list = []
        self.begin()
        self._forget()

    def begin(self) -> None:
        """Another object, perhaps in another place."""
        self._looked_at = LookedAt()

    def add(self, message: RawMessage) -> None:
        """Take in a message of joint_states, /tf or /tf_static."""
        content = message.content()
        if message.role == "joint_states":
            self._joint.add(content, _nanoseconds(content.header.stamp))
            return
        static = message.role == "/tf_static"
        if static:
            self._static.append(content)
        self._tree.add(content, static)
        self._count += 1
        if self._count > KEPT:
            self._forget()

    def at(self, base_frame: str, camera_frame: str, stamp: Time) -> tuple[float, float] | None:
        """(azimuth, elevation) in degrees, None where TF or the joint do not tell.

        An object on a turntable is at the base frame's origin; one that stands still is where the moving
        camera looks, and None is told until the camera has gone far enough to know that.

        An empty `base_frame` is the root of the camera's tree.
        """
        when = _nanoseconds(stamp)
        camera = camera_frame.lstrip("/")
        base = base_frame or self._tree.root(camera)
        base_from_camera = self._tree.lookup(base, camera, when)
        if base_from_camera is None or base == camera:
            return None
        if len(self._joint):
            angle = self._joint.at([when])[0]
            return None if angle is None else view_direction(base_from_camera, angle, np.zeros(3))
        self._looked_at.add(base_from_camera)
        centre = self._looked_at.point()
        return None if centre is None else view_direction(base_from_camera, 0.0, centre)

    def _forget(self) -> None:
        self._tree, self._joint, self._count = TransformTree(), JointTrack(self._joint_name), 0
        for content in self._static:
            self._tree.add(content, static=True)


def _nanoseconds(stamp: Time) -> int:
    return stamp.sec * 10**9 + stamp.nanosec
