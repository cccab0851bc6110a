"""Pictures to look at, wherever they are: picture files, folders of them, video files, rosbag2 bags."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.bag import read_messages
from surfpose_ros.video.capture import INFO_NAME, CaptureInfo, read_info
from surfpose_ros.video.pictures import picture_from_message, read_picture
from surfpose_ros.video.recording import read_recording

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})
OVERLAY_MARK = ".pose"  # ends the stem of files that we made ourselves


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: of the file; in videos and bags with the seconds since its beginning.
        image: ``(H, W, 3)`` uint8 RGB, of bags undistorted.
        camera: None where intrinsics are not known.
        seconds: since the beginning of the video; None for single pictures.
    """

    name: str
    image: np.ndarray
    camera: Camera | None = None
    seconds: float | None = None


def find_sources(paths: list[Path]) -> list[Path]:
    """The files and bags named, and those in the folders named; overlays are left out.

    Raises:
        SurfposeError: a path that is not there, or nothing to look at at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SurfposeError(f"{path}: no such picture")
        plain_folder = path.is_dir() and not is_bag(path)
        inside = sorted(path.iterdir()) if plain_folder else [path]
        found += [p for p in inside if _is_source(p) and not p.stem.endswith(OVERLAY_MARK)]
    if not found:
        raise SurfposeError(f"{', '.join(map(str, paths))}: no picture, video or bag found")
    return found


def is_moving(source: Path) -> bool:
    """Whether a source has many pictures, one after another."""
    return is_bag(source) or source.suffix.lower() in VIDEOS


def is_bag(path: Path) -> bool:
    """Whether a path is a rosbag2 folder."""
    return (path / "metadata.yaml").is_file()


def read_source(source: Path, every: int = 1) -> Iterator[Picture]:
    """The pictures of one source, of videos and bags each `every`-th.

    Raises:
        SurfposeError: unreadable.
    """
    if is_bag(source):
        return _bag_pictures(source, every)
    if source.suffix.lower() in VIDEOS:
        return _video_pictures(source, every)
    return iter([Picture(source.name, read_picture(source))])


def _is_source(path: Path) -> bool:
    return is_bag(path) or path.suffix.lower() in PICTURES | VIDEOS


def _bag_pictures(folder: Path, every: int) -> Iterator[Picture]:
    info = read_info(folder) if (folder / INFO_NAME).exists() else CaptureInfo("")
    recording = read_recording(folder, info)
    wanted, first = set(recording.image_stamps[::every]), recording.image_stamps[0]
    topic = recording.topics["image"]
    for message in read_messages(folder, [topic]):
        if message.stamp not in wanted:
            continue
        where = f"{folder}: {topic} at {message.stamp / 1e9:.3f} s"
        rectify = recording.rectifier(message.stamp)
        seconds = (message.stamp - first) / 1e9
        image = rectify(picture_from_message(message.content, where))
        yield Picture(f"{folder.name} at {seconds:.3f} s", image, rectify.camera, seconds)


def _video_pictures(path: Path, every: int) -> Iterator[Picture]:
    video = cv2.VideoCapture(str(path))
    try:
        rate = video.get(cv2.CAP_PROP_FPS) or 30.0
        index = 0
        while True:
            there, frame = video.read()
            if not there:
                break
            if index % every == 0:
                image = np.ascontiguousarray(frame[..., ::-1])
                yield Picture(f"{path.name} at {index / rate:.3f} s", image, None, index / rate)
            index += 1
    finally:
        video.release()
    if index == 0:
        raise SurfposeError(f"{path}: no video that OpenCV can read; convert it to mp4 (H.264)")
