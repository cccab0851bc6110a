"""ROS images to arrays and back: raw in every common encoding, compressed, depth.

cv_bridge converts colour where it is importable and sound; `video/encodings.py` gives the same pixels.
"""

from array import array
from functools import cache
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.encodings import colour_encoding, colour_of, imdecode, pixels_of

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
    bridge = sound_cv_bridge()
    if bridge is None or isinstance(message, CompressedImage) or message.encoding not in _BRIDGED:
        return colour_of(message)
    pixels_of(message, *colour_encoding(message.encoding)[:2])  # says in a line what cv_bridge does not
    return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))


def decode_depth(message: Image | CompressedImage) -> np.ndarray:
    """The depth of a raw or ``compressedDepth`` image in metres, ``(H, W)`` float32, NaN where unknown.

    16UC1 is millimetres and 0 unknown, 32FC1 is metres (REP 118).

    Raises:
        SurfposeError: not a depth encoding, or data that does not fit the header.
    """
    if isinstance(message, CompressedImage):
        depth = _decode_compressed_depth(message)
    elif message.encoding in _DEPTH_TYPES:
        depth = pixels_of(message, _DEPTH_TYPES[message.encoding], 1)
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


def _decode_compressed_depth(message: CompressedImage) -> np.ndarray:
    """compressed_depth_image_transport: 12 bytes of header (two float32 for 32FC1), then a PNG."""
    data = np.frombuffer(message.data, np.uint8)
    if "compressedDepth" not in message.format or "rvl" in message.format.lower() or data.size < 13:
        raise SurfposeError(
            f"compressed depth of format {message.format!r} is not PNG compressedDepth; "
            "publish the raw depth, or set the transport's format to png"
        )
    depth = imdecode(data[12:], cv2.IMREAD_UNCHANGED, message.format)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise SurfposeError(f"compressed depth of format {message.format!r} holds no 16-bit image")
    if not message.format.startswith("32FC1"):
        return depth
    quantum_a, quantum_b = data[4:12].view(np.float32)
    with np.errstate(divide="ignore"):
        return np.where(depth > 0, quantum_a / (depth.astype(np.float32) - quantum_b), np.nan)


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
