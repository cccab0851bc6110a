"""One labelled image of a test set, whatever data set it comes from."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.encodings import imdecode
from surfpose_ros.video.labels import LabelRow
from surfpose_ros.video.pictures import decode_picture


@dataclass(frozen=True)
class PoseSample:
    """One object in one image, and what is known of it.

    Attributes:
        name: unique in the test set.
        path: of the image file.
        rotation: camera_from_object, ``(3, 3)``; object frame x front, y left, z up, camera OpenCV's.
        category: "" if there is only one.
        translation: of the object's origin in the camera frame, metres, ``(3,)``.
        matrix: intrinsics, ``(3, 3)``, pixels.
        box: x, y, width, height in pixels.
        size: of the object along its axes, metres, ``(3,)``.
        group: the object that is seen, for confidence intervals; images of one object err together.
        occlusion: how much is hidden, in the words of the data set; "" if it does not say.
        depth: path of the depth picture, 16-bit millimetres, if there is one.
    """

    name: str
    path: Path
    rotation: Array
    category: str = ""
    translation: Array | None = None
    matrix: Array | None = None
    box: tuple[float, float, float, float] | None = None
    size: Array | None = None
    group: str = ""
    occlusion: str = ""
    depth: Path | None = None

    @property
    def azimuth_deg(self) -> float:
        """Where the camera stands about the object: 0 in front of it, 90 at its left, up to 360."""
        return float(np.rad2deg(np.arctan2(-self.rotation[2, 1], -self.rotation[2, 0])) % 360)

    @property
    def camera_from_object(self) -> Array | None:
        """The whole pose, ``(4, 4)``; None without a translation."""
        if self.translation is None:
            return None
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = self.rotation, self.translation
        return pose

    def read(self) -> tuple[np.ndarray, Camera | None]:
        """The image, ``(H, W, 3)`` uint8 RGB, and its camera if the intrinsics are known.

        Raises:
            SurfposeError: the file is missing or no picture.
        """
        image = read_picture(self.path)
        if self.matrix is None:
            return image, None
        return image, Camera(self.matrix, image.shape[1], image.shape[0])

    def read_depth(self) -> np.ndarray:
        """Metres along the optical axis, ``(H, W)``; 0 where unknown.

        Raises:
            SurfposeError: there is no depth picture, or a damaged one.
        """
        if self.depth is None:
            raise SurfposeError(f"{self.name} has no depth picture (column depth of the labels)")
        picture = imdecode(
            np.frombuffer(_file(self.depth), np.uint8), cv2.IMREAD_UNCHANGED, str(self.depth)
        )
        if picture.dtype != np.uint16 or picture.ndim != 2:
            raise SurfposeError(f"{self.depth}: depth pictures have one channel of 16 bits, millimetres")
        return picture.astype(np.float32) / 1000


@dataclass(frozen=True)
class ChangedSample(PoseSample):
    """A sample whose image is changed with a photo when read, the same way for the same name.

    Attributes:
        photos: one of these serves.
    """

    photos: tuple[Path, ...] = ()

    @classmethod
    def of(cls, sample: PoseSample, **more: Any) -> Self:
        """The sample with what this kind knows beside."""
        return cls(**{f.name: getattr(sample, f.name) for f in fields(PoseSample)}, **more)

    def read(self) -> tuple[np.ndarray, Camera | None]:
        """The changed image and its camera."""
        image, camera = super().read()
        random = np.random.default_rng(zlib.crc32(self.name.encode()))
        photo = read_picture(self.photos[random.integers(len(self.photos))])
        return self.changed(image, photo, random), camera

    def changed(self, image: np.ndarray, photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """What becomes of the image."""
        raise NotImplementedError


def read_picture(path: Path) -> np.ndarray:
    """An image file as ``(H, W, 3)`` uint8 RGB.

    Raises:
        SurfposeError: missing, or no picture.
    """
    return decode_picture(_file(path), str(path))


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SurfposeError(f"{path}: cannot be read ({error.strerror})") from error


def samples_from_labels(rows: Sequence[LabelRow]) -> list[PoseSample]:
    """The rows of a labels CSV; images without a video are objects of their own."""
    return [
        PoseSample(
            name=row.image,
            path=row.path,
            rotation=row.rotation,
            category=row.category,
            translation=row.translation,
            matrix=None if row.intrinsics is None else _matrix(*row.intrinsics),
            box=None if row.box is None else (row.box[0], row.box[1], row.box[2], row.box[3]),
            size=row.size,
            group=row.video or row.image,
            occlusion="" if row.visible is None else visible_band(row.visible),
            depth=row.depth,
        )
        for row in rows
    ]


def visible_band(share: float) -> str:
    """The quarter in which a visible share lies, in words.

    Example:
        >>> visible_band(0.8)
        '75-100 % visible'
    """
    quarter = min(int(4 * max(share, 0.0)), 3)
    return f"{25 * quarter}-{25 * quarter + 25} % visible"


def spread(samples: Sequence[PoseSample], limit: int | None) -> list[PoseSample]:
    """At most `limit` samples, evenly spread over all; all without a limit."""
    if limit is None or limit >= len(samples):
        return list(samples)
    return [samples[i] for i in np.linspace(0, len(samples) - 1, limit).round().astype(int)]


def _matrix(fx: float, fy: float, cx: float, cy: float) -> Array:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
