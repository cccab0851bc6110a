"""The pixels of ROS image messages, raw in every common encoding or compressed.

Messages may be rclpy's or rosbags': only their fields are looked at, so no ROS needs to be there. Colour is
converted by the same OpenCV calls as cv_bridge's.
"""

from typing import Any

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError

# name: (numpy type, channels, OpenCV conversion to RGB, None where it is RGB already)
ENCODINGS: dict[str, tuple[type, int, int | None]] = {
    "rgb8": (np.uint8, 3, None),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "rgb16": (np.uint16, 3, None),
    "rgba16": (np.uint16, 4, cv2.COLOR_RGBA2RGB),
    "bgr16": (np.uint16, 3, cv2.COLOR_BGR2RGB),
    "bgra16": (np.uint16, 4, cv2.COLOR_BGRA2RGB),
    "mono16": (np.uint16, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "8UC4": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "yuv422": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
}
# ROS names a Bayer pattern by its top-left 2x2 pixels, OpenCV by the 2x2 pixels one further in.
for _ros, _code in {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}.items():
    ENCODINGS[f"bayer_{_ros}8"] = (np.uint8, 1, _code)
    ENCODINGS[f"bayer_{_ros}16"] = (np.uint16, 1, _code)


def colour_of(message: Any) -> np.ndarray:
    """The picture of an Image or CompressedImage, ``(H, W, 3)`` uint8 RGB; 16 bits are scaled to 8.

    Raises:
        SurfposeError: an encoding that is no colour or grey image, or data that does not fit the header.
    """
    if hasattr(message, "format"):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        bgr = imdecode(np.frombuffer(message.data, np.uint8), flags, message.format)
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    dtype, channels, code = colour_encoding(message.encoding)
    pixels = pixels_of(message, dtype, channels)
    rgb = pixels.copy() if code is None else cv2.cvtColor(pixels, code)
    return cv2.convertScaleAbs(rgb, alpha=255 / 65535) if rgb.dtype == np.uint16 else rgb


def colour_encoding(name: str) -> tuple[type, int, int | None]:
    """The entry of `ENCODINGS`.

    Raises:
        SurfposeError: there is none of that name.
    """
    if name not in ENCODINGS:
        raise SurfposeError(
            f"image encoding {name!r} is not a colour or grey image; known are {', '.join(ENCODINGS)}"
        )
    return ENCODINGS[name]


def pixels_of(message: Any, dtype: type, channels: int) -> np.ndarray:
    """The pixels of a raw image message, ``(H, W)`` or ``(H, W, channels)``, in this machine's byte order.

    Raises:
        SurfposeError: data that does not fit the header.
    """
    size = np.dtype(dtype).itemsize
    row = message.width * channels * size
    step = message.step or row
    data = np.frombuffer(message.data, np.uint8)
    if not message.width or not message.height:
        raise SurfposeError("the image is empty (its width or height is 0)")
    needed = step * (message.height - 1) + row
    if step < row or data.size < needed:
        raise SurfposeError(
            f"the image says {message.width}x{message.height} {message.encoding} with step {message.step}, "
            f"which needs {max(needed, row * message.height)} bytes, and carries {data.size}: "
            "its publisher cut it short"
        )
    data = data[: step * message.height]
    if data.size < step * message.height:  # the last row may come without its padding
        data = np.concatenate([data, np.zeros(step * message.height - data.size, np.uint8)])
    pixels: np.ndarray = np.ascontiguousarray(data.reshape(message.height, step)[:, :row]).view(dtype)
    if size > 1 and message.is_bigendian:
        pixels = pixels.byteswap()
    shape = (message.height, message.width, channels)
    return pixels.reshape(shape[:2] if channels == 1 else shape)


def imdecode(data: np.ndarray, flags: int, format_name: str) -> np.ndarray:
    """An image out of the bytes of a JPEG or PNG, ``(N,)`` uint8; `flags` are OpenCV's.

    Raises:
        SurfposeError: no such file, or a damaged one.
    """
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise SurfposeError(
            f"compressed image of format {format_name!r} cannot be decoded ({data.size} bytes): "
            "it is damaged or not a JPEG or PNG"
        )
    return image
