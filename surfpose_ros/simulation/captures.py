"""Captures of simulated turntables, written straight to bags: what the ROS nodes would record, but quicker.

Kinds, by where the camera poses come from: `dataset` puts every video into a random frame of its own, as
structure from motion would (unless asked for the exact canonical one); `turntable` records the joint's
angle and the camera's TF, metric; `board` has a printed board under the object and records pictures alone;
`none` has pictures alone and no board. The truth stays beside the bags: `truth.json` holds
video_from_object of each capture, and a topic `/truth/silhouette` the exact masks, under a name that no
reader takes for a mask.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import read_json, write_json
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.simulation.labels import LabelledImages
from surfpose_ros.simulation.objects import SimulatedObject
from surfpose_ros.simulation.printed_board import base_from_board_video, board_plate, board_under
from surfpose_ros.simulation.sensor import in_millimetres
from surfpose_ros.simulation.turntable import Turntable, TurntableFrame, TurntableSettings
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.board import BOARD_KINDS
from surfpose_ros.video.capture import INFO_NAME, CaptureInfo, SourceFrame, read_info

POSES = ("dataset", "turntable", "board", "none")
TRUTH_NAME = "truth.json"
TRUTH_VERSION = 1
FRAME_SECONDS = 0.1
TOPICS = {
    "image": "/camera/image/compressed",
    "camera_info": "/camera/camera_info",
    "mask": "/camera/mask/compressed",
    "background": "/camera/background/compressed",
    "depth": "/camera/depth/compressed",
    "tf": "/tf",
    "joint_states": "/joint_states",
}
SILHOUETTE_TOPIC = "/truth/silhouette/compressed"
OPTICAL_FRAME = "camera_optical_frame"
BASE_FRAME = "turntable_base"


@dataclass(frozen=True)
class CaptureOptions:
    """How the captures are recorded.

    Attributes:
        views: frames a capture.
        poses: dataset, turntable, board or none; see the module.
        board: charuco or grid (of AprilTags); with `board`.
        exact: with `dataset`, the video's frame is the canonical one; for checks.
        masks: the bag has a mask topic.
        background: the bag has pictures of the empty turntable, one an elevation.
        depth: the bag has a depth topic, in millimetres, registered to the images.
        turntable: the camera, the room.
    """

    views: int = 48
    poses: str = "dataset"
    board: str = "charuco"
    exact: bool = False
    masks: bool = True
    background: bool = False
    depth: bool = False
    turntable: TurntableSettings = field(default_factory=TurntableSettings)

    def __post_init__(self) -> None:
        if self.poses not in POSES:
            raise SurfposeError(f"poses {self.poses!r}: a simulated capture has one of {', '.join(POSES)}")
        if self.board not in BOARD_KINDS:
            raise SurfposeError(f"board {self.board!r}: it must be one of {', '.join(BOARD_KINDS)}")
        if self.poses == "board" and self.background:
            raise SurfposeError("a board turns with the disc: no picture of the empty scene fits it")
        if self.views < len(self.turntable.elevations):
            raise SurfposeError(
                f"{self.views} views: at least one is needed for each of the "
                f"{len(self.turntable.elevations)} elevations"
            )


def simulate_captures(
    objects: Sequence[Callable[[], SimulatedObject]],
    names: Sequence[str],
    out: Path,
    seed: int,
    options: CaptureOptions | None = None,
    labels: LabelledImages | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Write one capture an object into `out`; those that are there already are kept.

    Args:
        objects: make the objects; called only for captures that are not there.
        names: of the captures.
        out: folder for the captures and their `truth.json`.
        seed: of rooms, poses and random frames; a capture depends on it and on its name only.
        options: how they are recorded.
        labels: takes every picture with its truth as well, if given.
        progress: told of each capture.

    Raises:
        SurfposeError: a folder in the way that is no simulated capture, or one of other options.
    """
    options = options or CaptureOptions()
    truth = _read_truth(out)
    folders = []
    for make, name in track(list(zip(objects, names, strict=True)), progress, "simulate", len(names)):
        folder = out / name
        folders.append(folder)
        notes = f"simulated with seed {seed}: {options}"
        if labels is None and _is_there(folder, notes) and name in truth:
            continue
        truth[name] = _simulate(make(), folder, seed, options, notes, labels).tolist()
        write_json(out / TRUTH_NAME, {"format_version": TRUTH_VERSION, "video_from_object": truth})
    return folders


def read_truth(captures: Path) -> dict[str, np.ndarray]:
    """video_from_object ``(4, 4)``, a similarity, of every simulated capture in a folder, by name."""
    content = read_json(captures / TRUTH_NAME, kind="truth of simulated captures", version=TRUTH_VERSION)
    return {name: np.array(matrix) for name, matrix in content["video_from_object"].items()}


def simulated_seed(seed: int, category: str, name: str) -> int:
    """The seed of one capture's room and pose."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{category}/{name}".encode()).digest()[:4], "big")


def _read_truth(out: Path) -> dict[str, list[list[float]]]:
    if not (out / TRUTH_NAME).exists():
        return {}
    return {name: matrix.tolist() for name, matrix in read_truth(out).items()}


def _is_there(folder: Path, notes: str) -> bool:
    if not folder.exists():
        return False
    found = read_info(folder).notes if (folder / INFO_NAME).exists() else ""
    if not found.startswith("simulated"):
        raise SurfposeError(f"{folder}: exists and was not simulated; choose another --out or delete it")
    return found == notes


def _simulate(
    item: SimulatedObject,
    folder: Path,
    seed: int,
    options: CaptureOptions,
    notes: str,
    labels: LabelledImages | None,
) -> np.ndarray:
    """Write one capture; its video_from_object ``(4, 4)``."""
    own_seed = simulated_seed(seed, item.category, folder.name)
    board = board_under(item, options.board) if options.poses == "board" else None
    turntable = Turntable(item, options.turntable, own_seed, None if board is None else board_plate(board))
    if board is not None:
        base_from_video = base_from_board_video(board)
        video_from_object = np.linalg.inv(base_from_video) @ turntable.base_from_object(0.0)
    elif options.poses != "dataset":
        video_from_object = turntable.base_from_object(0.0)
    elif options.exact:
        video_from_object = np.eye(4)
    else:
        generator = torch.Generator().manual_seed(own_seed)
        video_from_object = random_similarity(generator, max_log_scale=0.5, max_shift=0.5).numpy()
    views = turntable.views(options.views)
    stamps = [int((1 + FRAME_SECONDS * index) * 10**9) for index in range(len(views))]
    sources = [f"{item.category}/{folder.name}/{index:04d}.jpg" for index in range(len(views))]
    info = CaptureInfo(
        category=item.category,
        object=item.name,
        pose_source="auto" if options.poses == "none" else options.poses,
        metric=options.poses in ("turntable", "board") or options.exact,
        frame=BASE_FRAME if options.poses == "turntable" else "video",
        topics={role: topic for role, topic in TOPICS.items() if _recorded(role, options)},
        frames=tuple(SourceFrame(*pair) for pair in zip(stamps, sources, strict=True)),
        notes=notes,
        board=board,
    )
    with CaptureWriter(folder, info, overwrite=True) as writer:
        if options.background:
            _write_backgrounds(writer, turntable, with_poses=options.poses == "turntable")
        for stamp, source, (angle, elevation) in zip(stamps, sources, views, strict=True):
            frame = turntable.frame(angle, elevation)
            _write_frame(writer, frame, turntable, stamp, options.masks)
            if options.depth:
                writer.write_picture(
                    TOPICS["depth"], in_millimetres(frame.depth), stamp, OPTICAL_FRAME, codec="png"
                )
            if options.poses == "turntable":
                _write_turntable(writer, turntable, angle, elevation, stamp)
            elif options.poses == "dataset":
                camera_from_video = _rigid(frame.camera_from_object, video_from_object)
                pose = np.linalg.inv(camera_from_video)
                writer.write_transform(TOPICS["tf"], "video", OPTICAL_FRAME, pose, stamp)
            if labels is not None:
                labels.add(
                    source, frame.image, frame.mask, turntable.camera,
                    frame.camera_from_object, item.category, folder.name,
                )  # fmt: skip
    return video_from_object


def _recorded(role: str, options: CaptureOptions) -> bool:
    return {
        "mask": options.masks,
        "background": options.background,
        "depth": options.depth,
        "joint_states": options.poses == "turntable",
        "tf": options.poses in ("dataset", "turntable"),
    }.get(role, True)


def _write_frame(
    writer: CaptureWriter, frame: TurntableFrame, turntable: Turntable, stamp: int, with_mask: bool
) -> None:
    writer.write_picture(TOPICS["image"], frame.image, stamp, OPTICAL_FRAME)
    writer.write_camera_info(TOPICS["camera_info"], turntable.camera, stamp, OPTICAL_FRAME)
    writer.write_picture(SILHOUETTE_TOPIC, frame.mask, stamp, OPTICAL_FRAME, codec="png")
    if with_mask:
        writer.write_picture(TOPICS["mask"], frame.mask, stamp, OPTICAL_FRAME, codec="png")


def _write_backgrounds(writer: CaptureWriter, turntable: Turntable, with_poses: bool) -> None:
    """The empty turntable from each elevation, before the recording."""
    for index, elevation in enumerate(turntable.settings.elevations):
        stamp = int(0.1 * (index + 1) * 10**9)
        empty = turntable.frame(0.0, elevation, with_object=False)
        writer.write_picture(TOPICS["background"], empty.image, stamp, OPTICAL_FRAME)
        if with_poses:
            _write_turntable(writer, turntable, 0.0, elevation, stamp)


def _write_turntable(
    writer: CaptureWriter, turntable: Turntable, angle: float, elevation: float, stamp: int
) -> None:
    """The joint's angle and where the camera stands; it is moved between turns, so its TF is not static."""
    writer.write_joint(TOPICS["joint_states"], "turntable_joint", angle, stamp)
    pose = turntable.base_from_camera(elevation)
    writer.write_transform(TOPICS["tf"], BASE_FRAME, OPTICAL_FRAME, pose, stamp)


def _rigid(camera_from_object: np.ndarray, video_from_object: np.ndarray) -> np.ndarray:
    """camera_from_video, rigid: the camera's frame takes on the video's scale, which no picture shows."""
    scale = np.cbrt(np.linalg.det(video_from_object[:3, :3]))
    scaled = np.diag([scale, scale, scale, 1.0]) @ camera_from_object
    return np.asarray(scaled @ np.linalg.inv(video_from_object))
