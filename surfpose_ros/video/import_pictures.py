"""A folder of pictures of one object to a capture: frames of a video, or a product's spin in even steps."""

import re
from pathlib import Path

import cv2
import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.capture import INFO_NAME, CaptureInfo, SourceFrame, read_info
from surfpose_ros.video.import_labels import FRAME_SECONDS, LONG_LENS, TOPICS
from surfpose_ros.video.pictures import read_mask, read_picture
from surfpose_ros.video.segment import mask_by_grabcut, mask_from_backdrop

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MASK_ENDING = "_mask"
MIN_PICTURES = 3


def import_pictures(
    folder: Path,
    out: Path,
    category: str,
    turn_deg: float | None = None,
    elevation_deg: float = 10.0,
    focal: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the pictures of a folder, in the order of the numbers in their names, as the capture `out`.

    Args:
        folder: pictures of one size; a `<name>_mask` picture beside one is its mask.
        out: capture folder; an imported one is replaced.
        category: of the object.
        turn_deg: the object turned so far, anticlockwise seen from above, in equal steps (a spin of n
            pictures covers n of them); None leaves the poses to a board or to structure from motion.
        elevation_deg: of the camera above the horizontal, with `turn_deg`.
        focal: focal length in pixels; a long lens if None.
        progress: told of each picture.

    Raises:
        SurfposeError: fewer than three pictures, one that cannot be read, or of another size.
    """
    paths = picture_files(folder)
    if len(paths) < MIN_PICTURES:
        raise SurfposeError(
            f"{folder}: {len(paths)} pictures ({', '.join(SUFFIXES)}), and {MIN_PICTURES} are needed"
        )
    if out.exists() and not ((out / INFO_NAME).exists() and read_info(out).frames):
        raise SurfposeError(f"{out}: exists and was not imported; choose another --out or delete it")
    height, width = read_picture(paths[0]).shape[:2]
    longest = LONG_LENS * max(width, height) if focal is None else focal
    camera = Camera(
        np.array([[longest, 0, (width - 1) / 2], [0, longest, (height - 1) / 2], [0, 0, 1]]), width, height
    )
    masks = {path: _mask_beside(path) for path in paths}
    with_masks = all(mask is not None for mask in masks.values())
    wanted = ["image", "camera_info", *(["mask"] if with_masks else []), *(["tf"] if turn_deg else [])]
    stamps = [int((1 + FRAME_SECONDS * index) * 10**9) for index in range(len(paths))]
    info = CaptureInfo(
        category=category,
        object=out.name,
        pose_source="dataset" if turn_deg else "auto",
        poses_exact=False,
        frame="video" if turn_deg else "",
        up=(0.0, 0.0, 1.0) if turn_deg else None,
        topics={role: TOPICS[role] for role in wanted},
        frames=tuple(SourceFrame(stamp, path.name) for stamp, path in zip(stamps, paths, strict=True)),
        notes="" if focal else f"focal length guessed: {longest:.0f} pixels",
    )
    with CaptureWriter(out, info, overwrite=True) as writer:
        for index, path in enumerate(track(paths, progress, "import", len(paths))):
            picture, stamp, mask_path = read_picture(path), stamps[index], masks[path]
            if picture.shape[:2] != (height, width):
                raise SurfposeError(
                    f"{path}: {picture.shape[1]}x{picture.shape[0]} pixels, and the first has "
                    f"{width}x{height}; leave it out, or bring all to one size"
                )
            writer.write_picture(TOPICS["image"], picture, stamp, "camera", codec="png")
            writer.write_camera_info(TOPICS["camera_info"], camera, stamp, "camera")
            mask = None if mask_path is None else read_mask(mask_path)
            if with_masks and mask is not None:
                writer.write_picture(TOPICS["mask"], mask, stamp, "camera", codec="png")
            if turn_deg:
                angle = np.radians(turn_deg) * index / len(paths)
                pose = _spin_pose(picture, mask, camera, angle, np.radians(elevation_deg))
                writer.write_transform(TOPICS["tf"], "video", "camera", np.linalg.inv(pose), stamp)
    return out


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, masks left out, 2 before 10.

    Raises:
        SurfposeError: no such folder.
    """
    if not folder.is_dir():
        raise SurfposeError(f"{folder}: no such folder of pictures")
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    found = [path for path in found if not path.stem.endswith(MASK_ENDING)]
    return sorted(
        found, key=lambda path: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", path.name)]
    )


def _mask_beside(path: Path) -> Path | None:
    masks = [path.with_name(path.stem + MASK_ENDING + suffix) for suffix in (".png", ".jpg")]
    return next((mask for mask in masks if mask.exists()), None)


def _spin_pose(
    picture: np.ndarray, mask: np.ndarray | None, camera: Camera, angle: float, elevation: float
) -> np.ndarray:
    """camera_from_video ``(4, 4)`` of a turned object, at which an object of unit size looks so large.

    The translation is a guess, which the silhouettes correct.
    """
    if mask is None:
        mask = mask_from_backdrop(picture)
    if mask is None:
        mask = mask_by_grabcut(picture)
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    # An object that turns by an angle is seen from that angle to the other side.
    views = (torch.tensor(value, dtype=torch.float64) for value in (-angle, elevation, 0.0))
    pose = np.eye(4)
    pose[:3, :3] = camera_from_object_views(*views).numpy()
    distance = camera.matrix[0, 0] / max(float(np.hypot(width, height)), 1.0)
    middle = np.array([x + (width - 1) / 2, y + (height - 1) / 2, 1.0])
    pose[:3, 3] = distance * np.linalg.solve(camera.matrix, middle)
    return pose
