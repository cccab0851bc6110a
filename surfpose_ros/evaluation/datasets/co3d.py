"""Common Objects in 3D, version 2 (Reizenstein et al., ICCV 2021): turntable-like videos with cameras.

The annotations hold PyTorch3D cameras: points are multiplied from the left (x_cam = x_world R + T), the
camera's x points left and its y up, and intrinsics are in normalised device coordinates.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import check_rotation, labelled_image, require
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.evaluation.samples import read_picture
from surfpose_ros.files import inside
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.object_video import Frame, ObjectVideo

SOURCE = "https://github.com/facebookresearch/co3d (download_dataset.py)"
# The categories of the paper's table on alignment: those with manual labels by Goodwin et al. (2022).
PAPER_CATEGORIES = (
    "bicycle", "truck", "train", "teddybear", "car", "bus", "motorcycle", "keyboard", "handbag", "remote",
    "airplane", "toilet", "hairdryer", "mouse", "toaster", "hydrant", "chair", "laptop", "book", "backpack",
)  # fmt: skip

_OPENCV_FROM_PYTORCH3D = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Co3dFrame:
    """One frame, as annotated.

    Attributes:
        number: in its sequence, as the set lists count.
        image: path of the picture.
        mask: path of the foreground's probability; None if there is none.
        camera: intrinsics.
        camera_from_video: rigid, ``(4, 4)``.
        seconds: since the video's start.
    """

    number: int
    image: Path
    mask: Path | None
    camera: Camera
    camera_from_video: Array
    seconds: float


@dataclass(frozen=True)
class Co3dSequence:
    """One video.

    Attributes:
        category: of the object.
        name: of the sequence.
        frames: in order.
        point_cloud: path of `pointcloud.ply`; None if there is none.
        viewpoint_quality: the authors' score of the cameras, the bigger the better.
    """

    category: str
    name: str
    frames: list[Co3dFrame]
    point_cloud: Path | None
    viewpoint_quality: float | None

    def read(self, max_frames: int = 64) -> ObjectVideo:
        """The pictures of at most `max_frames` frames, spread over the video.

        Raises:
            SurfposeError: a picture is missing or damaged.
        """
        count = min(max_frames, len(self.frames))
        chosen = [self.frames[i] for i in np.linspace(0, len(self.frames) - 1, count).round().astype(int)]
        return ObjectVideo(self.name, self.category, [_read(frame) for frame in chosen], "dataset")


def read_co3d(root: Path, category: str, sequences: list[str] | None = None) -> list[Co3dSequence]:
    """The sequences of a category whose cameras are annotated.

    Args:
        root: folder with one folder a category.
        category: as the authors name it.
        sequences: names of those wanted; None for all.

    Raises:
        SurfposeError: a part of the data set is missing or damaged, or a sequence that is not there.
    """
    folder = require(root / category, f"the category {category}", SOURCE)
    entries = {str(entry["sequence_name"]): entry for entry in _annotations(folder, "sequence")}
    frames: dict[str, list[Co3dFrame]] = {}
    for entry in _annotations(folder, "frame"):
        name = str(entry["sequence_name"])
        if (sequences is None or name in sequences) and entry.get("viewpoint"):
            frames.setdefault(name, []).append(_frame(root, entry, folder))
    absent = [name for name in sequences or [] if name not in frames]
    if absent:
        raise SurfposeError(f"{folder}: no sequence {absent[0]} with cameras; get it from {SOURCE}")
    return [_sequence(root, category, name, frames[name], entries.get(name, {})) for name in sorted(frames)]


def read_set_list(root: Path, category: str, subset: str, split: str) -> list[tuple[str, int]]:
    """(sequence, frame number) of every frame of a split of `set_lists_<subset>.json`.

    Raises:
        SurfposeError: no such list or split.
    """
    path = root / category / "set_lists" / f"set_lists_{subset}.json"
    require(path, f"the set list {subset}", SOURCE)
    try:
        return [(str(name), int(number)) for name, number, _ in json.loads(path.read_text())[split]]
    except (KeyError, ValueError, TypeError) as error:
        raise SurfposeError(f"{path}: no split {split!r} ({error})") from error


def opencv_camera(viewpoint: dict[str, Any], height: int, width: int, where: str) -> tuple[Camera, Array]:
    """Camera and ``camera_from_video`` ``(4, 4)`` of an annotated viewpoint.

    Raises:
        SurfposeError: intrinsics of an unknown kind, or a rotation that is none.
    """
    kind = viewpoint.get("intrinsics_format", "ndc_norm_image_bounds")
    if kind == "ndc_norm_image_bounds":
        half = np.array([width, height]) / 2
    elif kind == "ndc_isotropic":
        half = np.full(2, min(height, width) / 2)
    else:
        raise SurfposeError(f"{where}: intrinsics of the unknown kind {kind!r}")
    focal = np.asarray(viewpoint["focal_length"], np.float64) * half
    # From the image's edge to the centre of its first pixel.
    centre = np.array([width, height]) / 2 - np.asarray(viewpoint["principal_point"]) * half - 0.5
    matrix = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    rotation = _OPENCV_FROM_PYTORCH3D @ np.asarray(viewpoint["R"], np.float64).T
    pose = np.eye(4)
    pose[:3, :3] = check_rotation(rotation, where)
    pose[:3, 3] = _OPENCV_FROM_PYTORCH3D @ np.asarray(viewpoint["T"], np.float64)
    return Camera(matrix, width, height), pose


def _annotations(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    path = require(folder / f"{kind}_annotations.jgz", f"the list of {kind}s", SOURCE)
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, EOFError, ValueError) as error:
        raise SurfposeError(f"{path}: cannot be read ({error}); download it again") from error
    if not isinstance(content, list):
        raise SurfposeError(f"{path}: not a list of annotations; download it again")
    yield from content


def _frame(root: Path, entry: dict[str, Any], folder: Path) -> Co3dFrame:
    label = folder / "frame_annotations.jgz"
    where = f"{label}: {entry['sequence_name']} frame {entry.get('frame_number')}"
    try:
        height, width = (int(value) for value in entry["image"]["size"])
        camera, pose = opencv_camera(entry["viewpoint"], height, width, where)
        mask = entry.get("mask")
        return Co3dFrame(
            number=int(entry["frame_number"]),
            image=inside(root, entry["image"]["path"]),
            mask=inside(root, mask["path"]) if mask else None,
            camera=camera,
            camera_from_video=pose,
            seconds=float(entry["frame_timestamp"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SurfposeError(f"{where}: lacks a field ({error}); download it again") from error


def _sequence(
    root: Path, category: str, name: str, frames: list[Co3dFrame], entry: dict[str, Any]
) -> Co3dSequence:
    cloud = entry.get("point_cloud")
    return Co3dSequence(
        category=category,
        name=name,
        frames=sorted(frames, key=lambda frame: frame.number),
        point_cloud=inside(root, cloud["path"]) if cloud else None,
        viewpoint_quality=entry.get("viewpoint_quality_score"),
    )


def _read(frame: Co3dFrame) -> Frame:
    root, name = frame.image.parent, frame.image.name
    image = read_picture(labelled_image(root, name, root.parent))
    if image.shape[:2] != (frame.camera.height, frame.camera.width):
        raise SurfposeError(
            f"{frame.image}: is {image.shape[1]}x{image.shape[0]}, annotated as "
            f"{frame.camera.width}x{frame.camera.height}; download it again"
        )
    mask = None
    if frame.mask is not None:
        probability = cv2.imread(str(frame.mask), cv2.IMREAD_GRAYSCALE)
        if probability is None or probability.shape != image.shape[:2]:
            raise SurfposeError(f"{frame.mask}: missing, damaged, or of another size than its image")
        mask = probability > 127
    return Frame(name, frame.seconds, image, frame.camera, mask, frame.camera_from_video)
