"""A labels CSV with images and masks to captures, each in a frame of its own.

The labels' common frame must not leak into the captures, or alignment would have nothing to find: each
video is turned, scaled and shifted at random, as a structure-from-motion frame would be.
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.capture import INFO_NAME, CaptureInfo, SourceFrame, read_info
from surfpose_ros.video.labels import LabelRow, read_labels
from surfpose_ros.video.pictures import decode_picture, read_mask

# Without intrinsics: a long lens, focal length in units of the picture's longer side. On ETH-80 hull and
# masks overlap better at 2.4 to 4 than at 8 and above (horse01: 0.888 at 2.4, 0.874 at 4, 0.857 at 8).
LONG_LENS = 3.0
FRAME_SECONDS = 0.1
TOPICS = {
    "image": "/camera/image/compressed",
    "camera_info": "/camera/camera_info",
    "mask": "/camera/mask/compressed",
    "tf": "/tf",
}


def import_labels(
    csv_path: Path,
    root: Path,
    out: Path,
    category: str | None = None,
    seed: int = 0,
    metric: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Write one capture a video of a labels CSV, named after it, into `out`.

    Args:
        csv_path: see `read_labels`; needs the columns `video` and `mask`.
        root: folder that the CSV's names are relative to.
        out: folder for the captures; captures imported before are replaced.
        category: only this category; None takes all (the CSV must then have the column).
        seed: of the random frames; a video's frame depends on the seed and its name only.
        metric: True if tx, ty, tz are metres: the random frames then keep their scale.
        progress: told of each video.

    Returns:
        The capture folders, in the CSV's order.

    Raises:
        SurfposeError: see `read_labels`; no such category; a video without masks.
    """
    rows = read_labels(csv_path, root)
    known = {row.category for row in rows} - {""}
    if category is not None and known:
        rows = [row for row in rows if row.category == category]
        if not rows:
            raise SurfposeError(f"{csv_path}: no category {category!r}; it has {', '.join(sorted(known))}")
    if category is None and len(known) != 1:
        raise SurfposeError(
            f"{csv_path}: which category? Give --category: {', '.join(sorted(known)) or 'a name'}"
        )
    category = category or known.pop()
    videos: dict[str, list[LabelRow]] = {}
    for row in rows:
        if not row.video:
            raise SurfposeError(
                f"{csv_path}: {row.image} has no video; the column video tells which images belong together"
            )
        if Path(row.video).name != row.video or row.video.startswith("."):
            raise SurfposeError(f"{csv_path}: video {row.video!r} cannot be a folder's name")
        videos.setdefault(row.video, []).append(row)
    folders = []
    for name, views in track(videos.items(), progress, "import", len(videos)):
        _import_video(out / name, category, views, seed, metric)
        folders.append(out / name)
    return folders


def _import_video(folder: Path, category: str, rows: list[LabelRow], seed: int, metric: bool) -> None:
    if folder.exists() and not ((folder / INFO_NAME).exists() and read_info(folder).frames):
        raise SurfposeError(f"{folder}: exists and was not imported; choose another --out or delete it")
    exact = all(row.translation is not None and row.intrinsics is not None for row in rows)
    digest = hashlib.sha256(f"{seed}/{category}/{folder.name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    scale_range = 0.0 if metric and exact else 0.5
    video_from_object = random_similarity(generator, max_log_scale=scale_range, max_shift=0.5).numpy()
    stamps = [int((1 + FRAME_SECONDS * index) * 10**9) for index in range(len(rows))]
    info = CaptureInfo(
        category=category,
        object=folder.name,
        pose_source="dataset",
        metric=metric and exact,
        poses_exact=exact,
        topics=TOPICS,
        frames=tuple(SourceFrame(stamp, row.image) for stamp, row in zip(stamps, rows, strict=True)),
    )
    with CaptureWriter(folder, info, overwrite=True) as writer:
        guess = None if exact else _guess_distance(rows)
        for stamp, row in zip(stamps, rows, strict=True):
            _write_frame(writer, row, stamp, video_from_object, guess)


def _write_frame(
    writer: CaptureWriter, row: LabelRow, stamp: int, video_from_object: np.ndarray, distance: float | None
) -> None:
    if row.mask is None:
        raise SurfposeError(f"{row.image}: no mask in the labels; fill in the mask column")
    data = row.path.read_bytes()
    picture = decode_picture(data, str(row.path))
    mask = read_mask(row.mask)
    if mask.shape != picture.shape[:2]:
        raise SurfposeError(f"{row.mask}: mask and image differ in size")
    camera = _camera(row, picture.shape[1], picture.shape[0])
    shift = row.translation if distance is None else _guess_translation(camera, mask, distance)
    camera_from_object = np.eye(4)
    camera_from_object[:3, :3], camera_from_object[:3, 3] = row.rotation, shift
    camera_from_video = _rigid(camera_from_object, video_from_object)
    codec = {b"\xff\xd8": "jpeg", b"\x89P": "png"}.get(data[:2])
    if codec:
        writer.write_compressed(TOPICS["image"], data, codec, stamp, "camera")
    else:
        writer.write_picture(TOPICS["image"], picture, stamp, "camera", codec="png")
    writer.write_camera_info(TOPICS["camera_info"], camera, stamp, "camera")
    writer.write_picture(TOPICS["mask"], mask, stamp, "camera", codec="png")
    writer.write_transform(TOPICS["tf"], "video", "camera", np.linalg.inv(camera_from_video), stamp)


def _rigid(camera_from_object: np.ndarray, video_from_object: np.ndarray) -> np.ndarray:
    """camera_from_video, rigid: the camera's frame takes on the video's scale, which no picture shows."""
    scale = np.cbrt(np.linalg.det(video_from_object[:3, :3]))
    scaled = np.diag([scale, scale, scale, 1.0]) @ camera_from_object
    return scaled @ np.linalg.inv(video_from_object)


def _camera(row: LabelRow, width: int, height: int) -> Camera:
    if row.intrinsics is not None:
        fx, fy, cx, cy = row.intrinsics
    else:
        fx = fy = LONG_LENS * max(width, height)
        cx, cy = (width - 1) / 2, (height - 1) / 2
    return Camera(np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), width, height)


def _guess_distance(rows: list[LabelRow]) -> float:
    """Distance at which an object of unit size fills the median mask, lengths in unit sizes."""
    ratios = []
    for row in rows:
        if row.mask is None:
            continue
        mask = read_mask(row.mask)
        focal = row.intrinsics[0] if row.intrinsics is not None else LONG_LENS * max(mask.shape)
        ratios.append(focal / np.hypot(*_box(mask)[2:]))
    return float(np.median(ratios)) if ratios else 1.0


def _guess_translation(camera: Camera, mask: np.ndarray, distance: float) -> np.ndarray:
    """The object's origin on the ray through the centre of the mask's box."""
    x, y, width, height = _box(mask)
    centre = np.array([x + (width - 1) / 2, y + (height - 1) / 2, 1.0])
    return distance * np.linalg.solve(camera.matrix, centre)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, width, height
