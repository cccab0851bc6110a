"""ROS images to arrays and back: raw in every common encoding, compressed, depth.

Colour is converted by the same OpenCV calls as cv_bridge's, which is used itself where it is importable
and sound; so both ways give the same pixels.
"""

from array import array
from functools import cache
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from surfpose_ros.errors import SurfposeError

# name: (numpy type, channels, OpenCV conversion to RGB, None where it is RGB already)
_ENCODINGS: dict[str, tuple[type, int, int | None]] = {
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
    _ENCODINGS[f"bayer_{_ros}8"] = (np.uint8, 1, _code)
    _ENCODINGS[f"bayer_{_ros}16"] = (np.uint16, 1, _code)

# Encodings that every cv_bridge since ROS 2 Foxy converts.
_BRIDGED = {"rgb8", "rgba8", "bgr8", "bgra8", "mono8", "rgb16", "bgr16", "mono16", "yuv422", "bayer_rggb8",
            "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"}  # fmt: skip
_DEPTH_TYPES = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}


def decode_image(message: Image | CompressedImage) -> np.ndarray:
    """The picture of a raw or compressed image message, ``(H, W, 3)`` uint8 RGB.

    Sixteen-bit images are scaled to eight bits.

    Raises:
        SurfposeError: an encoding that is no colour or grey image, or data that does not fit the header.
    """
    if isinstance(message, CompressedImage):
        return _decode_compressed(message)
    if message.encoding not in _ENCODINGS:
        raise SurfposeError(
            f"image encoding {message.encoding!r} is not a colour or grey image; "
            f"known are {', '.join(_ENCODINGS)}"
        )
    dtype, channels, code = _ENCODINGS[message.encoding]
    pixels = _pixels(message, dtype, channels)
    bridge = sound_cv_bridge()
    if bridge is not None and message.encoding in _BRIDGED:
        return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))
    rgb = pixels.copy() if code is None else cv2.cvtColor(pixels, code)
    return cv2.convertScaleAbs(rgb, alpha=255 / 65535) if rgb.dtype == np.uint16 else rgb


def decode_depth(message: Image | CompressedImage) -> np.ndarray:
    """The depth of a raw or ``compressedDepth`` image in metres, ``(H, W)`` float32, NaN where unknown.

    16UC1 is millimetres and 0 unknown, 32FC1 is metres (REP 118).

    Raises:
        SurfposeError: not a depth encoding, or data that does not fit the header.
    """
    if isinstance(message, CompressedImage):
        depth = _decode_compressed_depth(message)
    elif message.encoding in _DEPTH_TYPES:
        depth = _pixels(message, _DEPTH_TYPES[message.encoding], 1)
    else:
        raise SurfposeError(
            f"depth encoding {message.encoding!r} is unknown; use 16UC1 (millimetres) or 32FC1 (metres)"
        )
    metres = depth.astype(np.float32) * (0.001 if depth.dtype == np.uint16 else 1.0)
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def encode_image(image: np.ndarray, header: Header, encoding: str = "rgb8") -> Image:
    """A raw image message of a uint8 or uint16 or float32 array, ``(H, W, 3)`` or ``(H, W)``."""
    image = np.ascontiguousarray(image)
    message = Image(header=header, height=image.shape[0], width=image.shape[1], encoding=encoding)
    message.step = image.strides[0]
    # rclpy takes an array.array as it is; a numpy array it would check element by element.
    message.data = array("B", image.tobytes())
    return message


def encode_jpeg(image: np.ndarray, header: Header, quality: int = 90) -> CompressedImage:
    """A JPEG message of an ``(H, W, 3)`` uint8 RGB image."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return CompressedImage(
        header=header, format="rgb8; jpeg compressed bgr8", data=array("B", data.tobytes())
    )


def _pixels(message: Image, dtype: type, channels: int) -> np.ndarray:
    """A view of the message's pixels, ``(H, W)`` or ``(H, W, channels)``, in this machine's byte order."""
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


def _decode_compressed(message: CompressedImage) -> np.ndarray:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr = _imdecode(np.frombuffer(message.data, np.uint8), flags, message.format)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _decode_compressed_depth(message: CompressedImage) -> np.ndarray:
    """compressed_depth_image_transport: 12 bytes of header (two float32 for 32FC1), then a PNG."""
    data = np.frombuffer(message.data, np.uint8)
    if "compressedDepth" not in message.format or "rvl" in message.format.lower() or data.size < 13:
        raise SurfposeError(
            f"compressed depth of format {message.format!r} is not PNG compressedDepth; "
            "publish the raw depth, or set the transport's format to png"
        )
    depth = _imdecode(data[12:], cv2.IMREAD_UNCHANGED, message.format)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise SurfposeError(f"compressed depth of format {message.format!r} holds no 16-bit image")
    if not message.format.startswith("32FC1"):
        return depth
    quantum_a, quantum_b = data[4:12].view(np.float32)
    with np.errstate(divide="ignore"):
        return np.where(depth > 0, quantum_a / (depth.astype(np.float32) - quantum_b), np.nan)


def _imdecode(data: np.ndarray, flags: int, format_name: str) -> np.ndarray:
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


@cache
def sound_cv_bridge() -> Any:
    """A CvBridge that passed a check of its pixels, or None.

    PyPI's cv-bridge breaks with NumPy 2 and spoils 16-bit images in silence; a robot's own does not.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
        colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
        same = np.array_equal(
            bridge.imgmsg_to_cv2(encode_image(grey, Header(), "16UC1"), "passthrough"), grey
        ) and np.array_equal(
            bridge.imgmsg_to_cv2(encode_image(colour, Header(), "bgr8"), "rgb8"), colour[..., ::-1]
        )
    except Exception:  # whatever a package built for another NumPy raises
        return None
    return bridge if same else None
