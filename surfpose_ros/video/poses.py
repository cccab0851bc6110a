"""Camera poses from what was recorded: TF, a turntable's angle, a board; and the direction "up" with them.

Poses are camera_from_video: rigid, in the frame in which the object rests.
"""

from dataclasses import dataclass

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import rotation_from_rotvec
from surfpose_ros.video.board import BoardPoses
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.object_video import Frame
from surfpose_ros.video.recording import Recording


@dataclass(frozen=True)
class PoseTrack:
    """Camera poses of some frames, and what their source tells besides.

    Attributes:
        source: as in `ObjectVideo.pose_source`.
        poses: camera_from_video ``(4, 4)`` a frame; None where the source does not tell.
        missing: why a pose may be None, for people.
        metric: True where the unit is the metre.
        exact: False where translations are a first guess.
        up: unit vector in the video's frame, ``(3,)``, if known.
        floor: height along `up` of the plane under the object, if known.
        cloud: points on the object in the video's frame, ``(P, 3)`` float32, if the source gives some.
    """

    source: str
    poses: list[np.ndarray | None]
    missing: str = ""
    metric: bool = False
    exact: bool = True
    up: np.ndarray | None = None
    floor: float | None = None
    cloud: np.ndarray | None = None


def recorded_poses(stamps: list[int], info: CaptureInfo, recording: Recording) -> PoseTrack:
    """The poses at some stamps (nanoseconds) that TF or joint states of a bag tell.

    With `auto`, a turntable is taken where its joint was recorded, else TF where it moves; where
    neither is there, the track's source is `none`.

    Raises:
        SurfposeError: the source was asked for by name and the bag lacks it.
    """
    source = info.pose_source
    if source == "auto":
        source = _guess_source(recording)
    if source in ("dataset", "tf"):
        return _from_tf(stamps, info, recording, source)
    if source == "turntable":
        return _from_turntable(stamps, info, recording)
    return PoseTrack("none", [None] * len(stamps), "neither TF nor a turntable's joint was recorded")


def board_poses(frames: list[Frame], info: CaptureInfo) -> PoseTrack:
    """The poses that the board under the object gives in each picture.

    Raises:
        SurfposeError: the capture does not say which board.
    """
    if info.board is None:
        raise SurfposeError(
            "capture.yaml does not say which board; add 'board: {columns: 7, rows: 5, square: 0.03, "
            "marker: 0.022, dictionary: DICT_5X5_100}', lengths in metres"
        )
    find = BoardPoses(info.board)
    poses = [find(frame.image, frame.camera) for frame in frames]
    missing = "the board is not seen, or it is another one than capture.yaml says"
    up = np.array([0.0, 0.0, 1.0])
    return PoseTrack("board", poses, missing, metric=True, up=up, floor=0.0)


def _guess_source(recording: Recording) -> str:
    if len(recording.joint):
        return "turntable"
    if recording.optical_frame in recording.tree.frames() and recording.tree.moves():
        return "tf"
    return "none"


def _from_tf(stamps: list[int], info: CaptureInfo, recording: Recording, source: str) -> PoseTrack:
    camera, frame = recording.optical_frame, _base_frame(info, recording)
    poses = [recording.tree.lookup(camera, frame, stamp) for stamp in stamps]
    up = None if info.up is None else np.array(info.up) / np.linalg.norm(info.up)
    missing = f'TF has no transform from "{frame}" to "{camera}" at the image\'s time'
    return PoseTrack(source, poses, missing, info.metric or source == "tf", info.poses_exact, up)


def _from_turntable(stamps: list[int], info: CaptureInfo, recording: Recording) -> PoseTrack:
    """The static camera as seen from the disc: the video's frame turns with the disc about its z axis."""
    if not len(recording.joint):
        names = ", ".join(sorted(recording.joint.names)) or "none"
        raise SurfposeError(
            f"{recording.folder}: no angle of the joint {info.joint!r} (joint_states has: {names}); set "
            "joint in capture.yaml to the turntable's"
        )
    camera, frame = recording.optical_frame, _base_frame(info, recording)
    angles = recording.joint.at(stamps)
    poses: list[np.ndarray | None] = []
    for stamp, angle in zip(stamps, angles, strict=True):
        camera_from_base = recording.tree.lookup(camera, frame, stamp)
        if angle is None or camera_from_base is None:
            poses.append(None)
            continue
        base_from_disc = np.eye(4)
        turn = torch.tensor([0.0, 0.0, angle], dtype=torch.float64)
        base_from_disc[:3, :3] = rotation_from_rotvec(turn).numpy()
        poses.append(camera_from_base @ base_from_disc)
    missing = f'no turntable angle, or TF has no transform from "{frame}" to "{camera}"'
    up = np.array([0.0, 0.0, 1.0])
    return PoseTrack("turntable", poses, missing, metric=True, up=up, floor=0.0)


def _base_frame(info: CaptureInfo, recording: Recording) -> str:
    """The frame that poses are relative to: the capture's, else the root above the camera."""
    camera, frames = recording.optical_frame, recording.tree.frames()
    base = info.frame or recording.tree.root(camera)
    for name in (camera, base):
        if name not in frames:
            raise SurfposeError(
                f"{recording.folder}: TF does not know the frame {name!r} (it has: "
                f"{', '.join(sorted(frames)) or 'none'}); record /tf and /tf_static with the bag"
            )
    return base
