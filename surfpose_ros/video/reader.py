"""A capture folder to an `ObjectVideo`: pictures rectified, camera poses and masks found.

The bag is gone through once for everything that is small, and once for the pictures of the frames
chosen, so that a long recording need not fit into memory.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.bag import read_messages
from surfpose_ros.video.capture import CaptureInfo, read_info
from surfpose_ros.video.mask_network import SUFFIX, MaskNetwork
from surfpose_ros.video.masks import mask_from_background
from surfpose_ros.video.object_video import Frame, ObjectVideo
from surfpose_ros.video.pictures import picture_from_message, picture_sharpness, plane_from_message
from surfpose_ros.video.poses import PoseTrack, board_poses, recorded_poses
from surfpose_ros.video.recording import Recording, read_recording
from surfpose_ros.video.segment import mask_by_grabcut, mask_from_backdrop
from surfpose_ros.video.steadiness import steady_masks
from surfpose_ros.video.structure_from_motion import sfm_available, sfm_poses

MAX_FRAMES = 64
MASK_METHODS = ("auto", "topic", "background", "silhouette", "grabcut")
# With fewer poses than this share of the frames the recording is at fault, not a hiccup.
MIN_POSED = 0.5
MIN_FRAMES = 3


def read_capture(
    folder: Path, poses: str = "auto", masks: str = "auto", max_frames: int = MAX_FRAMES
) -> ObjectVideo:
    """Read one capture, with camera poses and masks wherever the capture tells them.

    Args:
        folder: rosbag2 folder with its `capture.yaml`.
        poses: a pose source (see `CaptureInfo.pose_source`); auto takes the capture's own, none leaves
            them out.
        masks: one of `MASK_METHODS`: a mask topic, background pictures, the silhouette before a plain
            backdrop, GrabCut about the picture's middle, or the path of a segmentation network (see
            `MaskNetwork`); auto takes the first that the capture allows.
        max_frames: frames kept: the sharpest of as many equal parts of the recording.

    Raises:
        SurfposeError: bad capture; the message says which file and what to do.
    """
    info = read_info(folder)
    if poses not in ("auto", "none"):
        info = replace(info, pose_source=poses)
    recording = read_recording(folder, info)
    stamps = sharpest_spread(folder, recording, max_frames)
    read, how = _read_frames(folder, info, recording, stamps, masks)
    if poses != "none" and len(read) < MIN_FRAMES:
        raise SurfposeError(
            f"{folder}: only {len(read)} frames, too few for a surface; record a whole turn"
        )
    read, dropped = steady_masks(read, trusted=how == "topic")
    if poses == "none":
        track = PoseTrack("none", [None] * len(stamps))
    else:
        track = _find_poses(read, stamps, info, recording)
    reason = f" ({track.missing})" if track.source == "none" and track.missing else ""
    notes = [f"poses: {track.source}{reason}", f"masks: {how}"]
    if dropped:
        notes.append(f"{dropped} of {len(read)} masks left out: unlike those before and after")
    frames = [replace(frame, camera_from_video=pose) for frame, pose in zip(read, track.poses, strict=True)]
    if track.source != "none":
        posed = [frame for frame in frames if frame.camera_from_video is not None]
        _check_posed(folder, track, len(posed), len(frames))
        if len(posed) < len(frames):
            notes.append(f"{len(frames) - len(posed)} of {len(frames)} frames left out: {track.missing}")
        frames = posed
    return ObjectVideo(
        name=folder.resolve().name,
        category=info.category,
        frames=frames,
        pose_source=track.source,
        mask_source=how,
        metric=track.metric,
        poses_exact=track.exact,
        up=track.up,
        floor=track.floor,
        cloud=track.cloud,
        notes=tuple(notes),
    )


def _find_poses(
    frames: list[Frame], stamps: list[int], info: CaptureInfo, recording: Recording
) -> PoseTrack:
    """The poses of a capture's own source; with `auto`, of the best that was recorded, else by motion."""
    if info.pose_source == "sfm":
        return sfm_poses(frames, str(recording.folder))
    if info.pose_source == "board" or (info.pose_source == "auto" and info.board is not None):
        return board_poses(frames, info)
    track = recorded_poses(stamps, info, recording)
    if track.source == "none" and sfm_available():
        try:
            return sfm_poses(frames, "structure from motion was tried")
        except SurfposeError as error:  # the pictures and masks may still be all that is wanted
            return PoseTrack("none", track.poses, str(error))
    return track


def sharpest_spread(folder: Path, recording: Recording, count: int) -> list[int]:
    """The stamps of at most `count` images: the sharpest of each of `count` equal runs of images."""
    stamps = recording.image_stamps
    if len(stamps) <= count:
        return stamps
    topic = recording.topics["image"]
    sharpness: dict[int, float] = {}
    for message in read_messages(folder, [topic]):
        where = f"{folder}: {topic} at {message.stamp / 1e9:.3f} s"
        sharpness[message.stamp] = picture_sharpness(picture_from_message(message.content, where))
    return [max(map(int, run), key=lambda stamp: sharpness[stamp]) for run in np.array_split(stamps, count)]


def _check_posed(folder: Path, track: PoseTrack, posed: int, total: int) -> None:
    if posed < max(MIN_FRAMES, MIN_POSED * total):
        raise SurfposeError(
            f"{folder}: no camera pose for {total - posed} of {total} frames ({track.missing}). "
            "Record it with the bag, or choose another pose source with --poses"
        )


def _read_frames(
    folder: Path, info: CaptureInfo, recording: Recording, stamps: list[int], method: str
) -> tuple[list[Frame], str]:
    """The pictures at some stamps with intrinsics and masks, in order of time, and the masks' method."""
    wanted = set(stamps)
    names = {frame.stamp: frame.image for frame in info.frames}
    roles = {
        recording.topics[role]: role
        for role in ("image", "mask", "background", "depth")
        if role in recording.topics
    }
    images: dict[int, np.ndarray] = {}
    masks: dict[int, np.ndarray] = {}
    backgrounds: dict[int, np.ndarray] = {}
    depths: dict[int, np.ndarray] = {}
    for message in read_messages(folder, list(roles)):
        role = roles[message.topic]
        where = f"{folder}: {message.topic} at {message.stamp / 1e9:.3f} s"
        rectify = recording.rectifier(message.stamp)
        if role == "background":
            backgrounds[message.stamp] = rectify(picture_from_message(message.content, where))
        elif message.stamp not in wanted:
            continue
        elif role == "image":
            image = picture_from_message(message.content, where)
            _check_size(image, rectify.camera.width, rectify.camera.height, where, folder)
            images[message.stamp] = rectify(image)
        elif role == "depth":
            metres = _metres(plane_from_message(message.content, where))
            depths[message.stamp] = rectify(metres, nearest=True)
        else:
            plane = plane_from_message(message.content, where)
            masks[message.stamp] = rectify(plane, nearest=True) > 127
    find, how = _mask_finder(method, masks, backgrounds, images, recording)
    frames = []
    for stamp in stamps:
        mask = find(stamp)
        if mask is not None and mask.shape != images[stamp].shape[:2]:
            raise SurfposeError(
                f"{folder}: at {stamp / 1e9:.3f} s mask and image differ in size; record both from one "
                "camera"
            )
        name = names.get(stamp, f"{stamp / 1e9:.6f}")
        depth = depths.get(stamp)
        if depth is not None and depth.shape != images[stamp].shape[:2]:
            depth = None  # of another camera: not registered to the images
        camera = recording.rectifier(stamp).camera
        frames.append(Frame(name, stamp / 1e9, images[stamp], camera, mask, depth=depth))
    return frames, how


def _metres(depth: np.ndarray) -> np.ndarray:
    """Depth ``(H, W)`` float32 in metres, 0 where unknown, of millimetres (integers) or metres."""
    metres = depth.astype(np.float32) * (1e-3 if depth.dtype.kind == "u" else 1.0)
    return np.where(np.isfinite(metres), metres, 0).astype(np.float32)


def _mask_finder(
    method: str,
    masks: dict[int, np.ndarray],
    backgrounds: dict[int, np.ndarray],
    images: dict[int, np.ndarray],
    recording: Recording,
) -> tuple[Callable[[int], np.ndarray | None], str]:
    """What gives the mask at a stamp by a method, and the method that `auto` comes to."""
    if method == "auto":
        method = "topic" if masks else "background" if backgrounds else "silhouette"
        if method == "silhouette":
            plain = [mask_from_backdrop(image) is not None for image in list(images.values())[:8]]
            method = "silhouette" if np.mean(plain) > 0.5 else "grabcut"
    if method == "background" and not backgrounds:
        raise SurfposeError(
            f"{recording.folder}: no background pictures; record some of the empty scene on a background "
            "topic"
        )
    if method.endswith(SUFFIX):
        network = MaskNetwork(Path(method))
        return lambda stamp: network(images[stamp]), f"network {Path(method).name}"
    finders: dict[str, Callable[[int], np.ndarray | None]] = {
        "topic": masks.get,
        "background": lambda stamp: mask_from_background(
            images[stamp], _nearest_background(images[stamp], backgrounds, stamp, recording)
        ),
        "silhouette": lambda stamp: mask_from_backdrop(images[stamp]),
        "grabcut": lambda stamp: mask_by_grabcut(images[stamp]),
    }
    return finders[method], method


def _check_size(image: np.ndarray, width: int, height: int, where: str, folder: Path) -> None:
    if image.shape[:2] != (height, width):
        raise SurfposeError(
            f"{where}: the image is {image.shape[1]}x{image.shape[0]} but camera_info says "
            f"{width}x{height}; record both from one camera at one resolution"
        )


def _nearest_background(
    image: np.ndarray, backgrounds: dict[int, np.ndarray], stamp: int, recording: Recording
) -> np.ndarray:
    """The empty scene from where the camera stood at `stamp`, the disc turned nearest to how it stood.

    Where neither TF nor joint states tell that, the one that most of the picture agrees with.
    """
    stamps = _from_same_place(sorted(backgrounds), stamp, recording)
    if len(stamps) == 1:
        return backgrounds[stamps[0]]
    angles = recording.joint.at([stamp, *stamps])
    if any(angle is None for angle in angles):
        small = image[::4, ::4].astype(np.int16)
        alike = [np.median(np.abs(backgrounds[when][::4, ::4] - small).sum(axis=2)) for when in stamps]
        return backgrounds[stamps[int(np.argmin(alike))]]
    turns = np.exp(1j * np.array(angles, dtype=float))
    return backgrounds[stamps[int(np.argmin(np.abs(turns[1:] - turns[0])))]]


def _from_same_place(stamps: list[int], stamp: int, recording: Recording) -> list[int]:
    """Those of `stamps` at which TF has the camera where it was at `stamp`; all, where TF cannot tell."""
    camera = recording.optical_frame
    root = recording.tree.root(camera)
    here = recording.tree.lookup(camera, root, stamp)
    poses = {when: recording.tree.lookup(camera, root, when) for when in stamps}
    same = [
        when
        for when, pose in poses.items()
        if here is not None and pose is not None and np.allclose(pose, here, atol=1e-3)
    ]
    return same or stamps
