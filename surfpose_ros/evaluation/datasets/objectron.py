"""Objectron (Ahmadyan et al., CVPR 2021): phone videos with 3D boxes, in the world frame of the phone's AR.

Labels are protocol buffers (`annotation_data.proto`); of their messages only the fields that are needed are
described here. Objects have y up and z to the front. The AR camera sees the phone's landscape picture with
OpenGL's axes, while the videos are upright: the picture's right is the camera's up, its down the camera's
right.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surfpose_ros.errors import MissingExtraError, SurfposeError
from surfpose_ros.evaluation.datasets.files import check_rotation, require
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.evaluation.samples import PoseSample

SOURCE = "https://github.com/google-research-datasets/Objectron (annotations and videos)"

_UPRIGHT_FROM_AR = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
# x front, y left, z up from theirs: x left, y up, z front.
_THEIRS_FROM_OURS = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])

# Message: (field, number, type); "[]" marks a repeated one.
_SCHEMA = {
    "Object": [
        ("id", 1, "int32"), ("category", 2, "string"), ("rotation", 4, "float[]"),
        ("translation", 5, "float[]"), ("scale", 6, "float[]"),
    ],
    "ARCamera": [("projection_matrix", 8, "float[]"), ("view_matrix", 9, "float[]")],
    "ObjectAnnotation": [("object_id", 1, "int32"), ("visibility", 3, "float")],
    "FrameAnnotation": [
        ("frame_id", 1, "int32"), ("annotations", 2, "ObjectAnnotation[]"), ("camera", 3, "ARCamera"),
    ],
    "Sequence": [("objects", 1, "Object[]"), ("frame_annotations", 2, "FrameAnnotation[]")],
}  # fmt: skip


def read_objectron_split(root: Path, category: str, split: str) -> list[PoseSample]:
    """The boxes in the downloaded videos of a split, one frame a second; frames are kept in `ROOT/frames`.

    Args:
        root: laid out as the bucket: `v1/index`, `annotations`, `videos`.
        category: such as cup.
        split: train or test.

    Raises:
        SurfposeError: no index, none of its videos, or as `read_objectron`.
    """
    index = root / "v1" / "index" / f"{category}_annotations_{split}"
    videos = require(index, f"the list of {split} videos", SOURCE).read_text(encoding="utf-8").split()
    here = [video for video in videos if (root / "annotations" / f"{video}.pbdata").is_file()]
    if not here:
        raise SurfposeError(f"{root / 'annotations'}: none of the {len(videos)} videos of {index.name}; "
                            f"get some from {SOURCE}")  # fmt: skip
    return [sample for video in here for sample in read_objectron(root, video, root / "frames")]


def read_objectron(
    root: Path, video: str, frames_out: Path, every: int = 30, min_visible: float = 0.1
) -> list[PoseSample]:
    """The boxes in some frames of one video; the frames are written as pictures.

    Args:
        root: folder with `annotations/<video>.pbdata` and `videos/<video>/video.MOV`.
        video: as the index names it, such as `cup/batch-3/7`.
        frames_out: folder for the pictures, `<video>/<frame>.jpg`.
        every: take every so many frames.
        min_visible: least visibility of an object's label.

    Raises:
        SurfposeError: a part is missing or damaged, or the video is not upright.
        MissingExtraError: protobuf is not installed.
    """
    label = require(root / "annotations" / f"{video}.pbdata", "the annotation", SOURCE)
    movie = require(root / "videos" / video / "video.MOV", "the video", SOURCE)
    sequence = _messages()["Sequence"]()
    try:
        sequence.ParseFromString(label.read_bytes())
    except Exception as error:  # protobuf's own DecodeError has no stable home
        raise SurfposeError(f"{label}: cannot be read ({error}); download it again") from error
    wanted = {frame.frame_id: frame for frame in sequence.frame_annotations if frame.frame_id % every == 0}
    samples: list[PoseSample] = []
    for number, picture in _frames(movie, set(wanted)):
        height, width = picture.shape[:2]
        if height < width:
            raise SurfposeError(f"{movie}: frames are {width}x{height}, and labels are for upright ones")
        path = frames_out / video / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
        where = f"{label}: frame {number}"
        samples += _objects(sequence, wanted[number], path, (height, width), video, min_visible, where)
    return samples


def upright_intrinsics(projection: Array, height: int, width: int) -> Array:
    """``(3, 3)`` of the upright picture from the AR camera's OpenGL projection ``(4, 4)``."""
    focal = np.array([projection[1, 1] * width, projection[0, 0] * height]) / 2
    centre = np.array([(1 - projection[1, 2]) * width, (1 - projection[0, 2]) * height]) / 2 - 0.5
    return np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])


def _objects(
    sequence: Any,
    frame: Any,
    path: Path,
    shape: tuple[int, int],
    video: str,
    min_visible: float,
    where: str,
) -> Iterator[PoseSample]:
    visible = {entry.object_id: entry.visibility for entry in frame.annotations}
    view = _reshaped(frame.camera.view_matrix, (4, 4), where)
    matrix = upright_intrinsics(_reshaped(frame.camera.projection_matrix, (4, 4), where), *shape)
    for entry in sequence.objects:
        if visible.get(entry.id, 0.0) < min_visible:
            continue
        rotation = view[:3, :3] @ _reshaped(entry.rotation, (3, 3), where) @ _THEIRS_FROM_OURS
        seen = view[:3, :3] @ _reshaped(entry.translation, (3,), where) + view[:3, 3]
        left, up, front = _reshaped(entry.scale, (3,), where)
        yield PoseSample(
            name=f"{video}/{path.stem}#{entry.id}",
            path=path,
            rotation=check_rotation(_UPRIGHT_FROM_AR @ rotation, where),
            category=entry.category,
            translation=_UPRIGHT_FROM_AR @ seen,
            matrix=matrix,
            size=np.array([front, left, up]),
            group=video,
        )


def _reshaped(values: Any, shape: tuple[int, ...], where: str) -> Array:
    array = np.array(values, dtype=np.float64)
    if array.size != np.prod(shape) or not np.isfinite(array).all():
        raise SurfposeError(f"{where}: a pose or camera is not {np.prod(shape)} finite numbers")
    return array.reshape(shape)


def _frames(movie: Path, wanted: set[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(number, BGR picture) of the wanted frames that the video has."""
    capture = cv2.VideoCapture(str(movie))
    if not capture.isOpened():
        raise SurfposeError(f"{movie}: cannot be opened as a video; download it again")
    for number in range(max(wanted, default=-1) + 1):
        if not capture.grab():
            break
        if number in wanted:
            yield number, capture.retrieve()[1]
    capture.release()


def _messages() -> dict[str, Any]:
    """The message classes of `_SCHEMA`.

    Raises:
        MissingExtraError: protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise MissingExtraError("protobuf", extra="datasets", purpose="reading Objectron") from None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="objectron.proto", package="objectron")
    file.syntax = "proto3"
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            entry = message.field.add(name=field, number=number)
            entry.label = kinds.LABEL_REPEATED if kind.endswith("[]") else kinds.LABEL_OPTIONAL
            plain = kind.removesuffix("[]")
            if plain in _SCHEMA:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".objectron.{plain}"
            else:
                entry.type = getattr(kinds, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"objectron.{name}"))
        for name in _SCHEMA
    }
