"""A capture, read and decoded: what every later stage takes in."""

from dataclasses import dataclass, field

import numpy as np

from surfpose_ros.geometry.cameras import Camera


@dataclass(frozen=True)
class Frame:
    """One picture of the object.

    Attributes:
        name: unique in its video; the source file of an imported picture, else the stamp.
        stamp: seconds.
        image: ``(H, W, 3)`` uint8, RGB, undistorted.
        camera: intrinsics of `image`.
        mask: ``(H, W)`` bool, True on the object; None if not known yet.
        camera_from_video: rigid transform, ``(4, 4)`` float64; None if not known yet.
        mask_quality: how well the mask agrees with those before and after, 0 to 1; None if not known.
        depth: ``(H, W)`` float32, metres along the optical axis, 0 where unknown; None if not recorded.
    """

    name: str
    stamp: float
    image: np.ndarray
    camera: Camera
    mask: np.ndarray | None = None
    camera_from_video: np.ndarray | None = None
    mask_quality: float | None = None
    depth: np.ndarray | None = None


@dataclass(frozen=True)
class ObjectVideo:
    """One recorded video of one object.

    The video's own frame is arbitrary (rotation, origin, and scale unless `metric`).

    Attributes:
        name: of the capture, unique in its category.
        category: as the person who recorded it named it.
        frames: in order of time.
        pose_source: dataset, tf, turntable, board, sfm or none.
        mask_source: how the masks were found: topic, background, silhouette, grabcut or a network; "" if
            not known.
        metric: True where the poses' unit is the metre.
        poses_exact: False where only the rotations are known and the translations are a first guess
            (a labels CSV without tx, ty, tz); the silhouettes then correct them.
        up: unit vector in the video's frame that points up, ``(3,)``, if the pose source tells it.
        floor: height along `up` of the plane that the object stands on (the turntable's disc, the
            board), if the pose source tells it.
        cloud: points on the object in the video's frame, ``(P, 3)`` float32, if the pose source gives some.
        notes: what a reader should know (frames left out, where masks came from, ...).
    """

    name: str
    category: str
    frames: list[Frame] = field(default_factory=list)
    pose_source: str = "none"
    mask_source: str = ""
    metric: bool = False
    poses_exact: bool = True
    up: np.ndarray | None = None
    floor: float | None = None
    cloud: np.ndarray | None = None
    notes: tuple[str, ...] = ()
