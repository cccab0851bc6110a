"""Pictures out of messages and files, as RGB, masks or depth, rectified; broken ones said by name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.encodings import colour_of, imdecode, pixels_of

_PLAIN = {
    "mono16": np.uint16,
    "16UC1": np.uint16,
    "32FC1": np.float32,
    **dict.fromkeys(("mono8", "8UC1"), np.uint8),
}


def picture_from_message(message: Any, where: str) -> np.ndarray:
    """RGB ``(H, W, 3)`` uint8 of a sensor_msgs Image or CompressedImage.

    Raises:
        SurfposeError: an encoding that is not known, or data that do not fit.
    """
    try:
        return colour_of(message)
    except SurfposeError as error:
        raise SurfposeError(f"{where}: {error}; record it again") from None


def plane_from_message(message: Any, where: str) -> np.ndarray:
    """The single channel ``(H, W)`` of a mask or depth image, dtype as encoded.

    Raises:
        SurfposeError: as `picture_from_message`.
    """
    try:
        if hasattr(message, "format"):
            # compressedDepth puts a header of 12 bytes before the PNG (image_transport_plugins).
            start = 12 if "compressedDepth" in message.format else 0
            data = np.frombuffer(message.data, np.uint8)[start:]
            plane = imdecode(data, cv2.IMREAD_UNCHANGED, message.format)
            return plane if plane.ndim == 2 else plane.max(axis=2)
        if message.encoding in _PLAIN:
            return pixels_of(message, _PLAIN[message.encoding], 1)
    except SurfposeError as error:
        raise SurfposeError(f"{where}: {error}; record it again") from None
    return picture_from_message(message, where).max(axis=2)


def decode_picture(data: bytes, where: str) -> np.ndarray:
    """RGB ``(H, W, 3)`` uint8 of the bytes of a JPEG or PNG file.

    Raises:
        SurfposeError: no picture, or a damaged one.
    """
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:  # more pixels than anybody has
        picture = None
    if picture is None:
        raise SurfposeError(f"{where}: not a picture that can be read; replace it or leave it out")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_picture(path: Path) -> np.ndarray:
    """A picture file as 8-bit RGB, ``(H, W, 3)``: turned as its EXIF says, 16 bits and alpha reduced.

    Raises:
        SurfposeError: missing or not a picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SurfposeError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_picture(data, str(path))


def save_picture(path: Path, picture: np.ndarray) -> None:
    """Write RGB ``(H, W, 3)`` or grey ``(H, W)``, uint8, as the suffix says, whole or not at all."""
    content = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    with atomic_file(path) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, content)[1].tobytes())


def read_mask(path: Path) -> np.ndarray:
    """``(H, W)`` bool of a mask picture: on where any channel is above half.

    Raises:
        SurfposeError: unreadable, or all one value.
    """
    picture = decode_picture(path.read_bytes(), str(path))
    mask = picture.max(axis=2) > 127
    if mask.all() or not mask.any():
        raise SurfposeError(
            f"{path}: the mask is all {'object' if mask.any() else 'background'}; make it again"
        )
    return mask


def picture_sharpness(picture: np.ndarray) -> float:
    """Variance of the Laplacian of an RGB picture, at about 320 pixels: low where motion or focus blurs."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 320 / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


class Rectifier:
    """Takes the lens distortion of one camera_info out of its pictures; keeps the intrinsics."""

    def __init__(self, info: Any, rectified: bool, where: str) -> None:
        matrix = np.asarray(info.p if rectified else info.k, np.float64).reshape(3, -1)[:, :3]
        try:
            self.camera = Camera(matrix, int(info.width), int(info.height))
        except SurfposeError as error:
            raise SurfposeError(f"{where}: {error}") from None
        distortion = np.asarray(info.d, np.float64)
        self._maps = None
        if not rectified and distortion.size and np.abs(distortion).max() > 0:
            size = (self.camera.width, self.camera.height)
            fisheye = info.distortion_model in ("equidistant", "fisheye")
            make = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
            self._maps = make(matrix, distortion, np.eye(3), matrix, size, cv2.CV_16SC2)

    def __call__(self, picture: np.ndarray, nearest: bool = False) -> np.ndarray:
        """The picture undistorted; `nearest` for masks and depth."""
        if self._maps is None:
            return picture
        return cv2.remap(picture, *self._maps, cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR)
