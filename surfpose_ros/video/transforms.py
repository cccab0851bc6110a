"""TF and joint states of a bag, looked up at any time between their messages."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from surfpose_ros.geometry.rotations import (
    rotation_from_quaternion,
    rotation_from_rotvec,
    rotvec_from_rotation,
)

# Longest time between two messages over which a pose or an angle is interpolated, nanoseconds.
MAX_GAP = 500_000_000


@dataclass
class _Edge:
    """parent_from_child over time; a static one has a single stamp and holds always."""

    static: bool = False
    stamps: list[int] = field(default_factory=list)
    transforms: list[np.ndarray] = field(default_factory=list)

    def at(self, stamp: int) -> np.ndarray | None:
        if self.static:
            return self.transforms[-1]
        after = bisect_left(self.stamps, stamp)
        if after < len(self.stamps) and self.stamps[after] == stamp:
            return self.transforms[after]
        if after in (0, len(self.stamps)) or self.stamps[after] - self.stamps[after - 1] > MAX_GAP:
            return None
        share = (stamp - self.stamps[after - 1]) / (self.stamps[after] - self.stamps[after - 1])
        return interpolate_rigid(self.transforms[after - 1], self.transforms[after], share)


class TransformTree:
    """Answers `target_from_source` at a time, as tf2's buffer does, from the TF messages of a bag."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], _Edge] = defaultdict(_Edge)

    def add(self, message: Any, static: bool) -> None:
        """Take in one tf2_msgs/TFMessage."""
        for stamped in message.transforms:
            parent, child = stamped.header.frame_id.lstrip("/"), stamped.child_frame_id.lstrip("/")
            edge = self._edges[parent, child]
            edge.static = static
            stamp = int(stamped.header.stamp.sec) * 10**9 + int(stamped.header.stamp.nanosec)
            place = bisect_left(edge.stamps, stamp)
            edge.stamps.insert(place, stamp)
            edge.transforms.insert(place, _matrix(stamped.transform))

    def frames(self) -> set[str]:
        """Names of all frames."""
        return {name for edge in self._edges for name in edge}

    def root(self, frame: str) -> str:
        """The frame without a parent above `frame`."""
        parents = {child: parent for parent, child in self._edges}
        for _ in range(len(parents)):
            frame = parents.get(frame, frame)
        return frame

    def moves(self) -> bool:
        """Whether any transform is not static."""
        return any(not edge.static for edge in self._edges.values())

    def lookup(self, target: str, source: str, stamp: int) -> np.ndarray | None:
        """`target_from_source` ``(4, 4)`` at a stamp (nanoseconds); None where TF does not tell."""
        path = self._path(target, source)
        if path is None:
            return None
        result = np.eye(4)
        for parent, child, forward in path:
            step = self._edges[parent, child].at(stamp)
            if step is None:
                return None
            result = result @ (step if forward else np.linalg.inv(step))
        return result

    def _path(self, target: str, source: str) -> list[tuple[str, str, bool]] | None:
        """Edges from target to source, each with whether it is gone down (parent to child)."""
        paths: dict[str, list[tuple[str, str, bool]]] = {target: []}
        queue = [target]
        while queue:
            here = queue.pop(0)
            if here == source:
                return paths[here]
            for parent, child in self._edges:
                if parent == here and child not in paths:
                    paths[child] = [*paths[here], (parent, child, True)]
                    queue.append(child)
                elif child == here and parent not in paths:
                    paths[parent] = [*paths[here], (parent, child, False)]
                    queue.append(parent)
        return None


class JointTrack:
    """Position of one joint over time, radians."""

    def __init__(self, joint: str) -> None:
        self.joint = joint
        self.names: set[str] = set()
        self._samples: list[tuple[int, float]] = []

    def add(self, message: Any, stamp: int) -> None:
        """Take in one sensor_msgs/JointState."""
        self.names |= set(message.name)
        positions = dict(zip(message.name, message.position, strict=False))
        if self.joint in positions:
            self._samples.append((stamp, float(positions[self.joint])))

    def __len__(self) -> int:
        return len(self._samples)

    def at(self, stamps: Iterable[int]) -> list[float | None]:
        """The joint's position at stamps (nanoseconds); None outside of the record or in a gap."""
        samples = sorted(self._samples)
        times = [time for time, _ in samples]
        # Joints that wrap at a full turn must not be interpolated through zero.
        angles = np.unwrap([angle for _, angle in samples])
        found: list[float | None] = []
        for stamp in stamps:
            after = bisect_left(times, stamp)
            exact = after < len(times) and times[after] == stamp
            if exact or (0 < after < len(times) and times[after] - times[after - 1] <= MAX_GAP):
                found.append(float(np.interp(stamp, times, angles)))
            else:
                found.append(None)
        return found


def interpolate_rigid(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The rigid transform a `share` of the way from `first` to `second`, all ``(4, 4)`` (slerp, lerp)."""
    turn = torch.as_tensor(first[:3, :3].T @ second[:3, :3])
    result = np.eye(4)
    result[:3, :3] = first[:3, :3] @ rotation_from_rotvec(share * rotvec_from_rotation(turn)).numpy()
    result[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return result


def _matrix(transform: Any) -> np.ndarray:
    rotation, shift = transform.rotation, transform.translation
    quaternion = torch.tensor([rotation.w, rotation.x, rotation.y, rotation.z], dtype=torch.float64)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion(quaternion).numpy()
    matrix[:3, 3] = [shift.x, shift.y, shift.z]
    return matrix
