"""Image messages to arrays and back."""

from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="no ROS 2 message types here")
from std_msgs.msg import Header  # noqa: E402

from surfpose_ros.errors import SurfposeError  # noqa: E402
from surfpose_ros.messages.images import (  # noqa: E402
    decode_depth,
    decode_image,
    encode_image,
    encode_jpeg,
)  # fmt: skip

RNG = np.random.default_rng(0)
SMOOTH = cv2.resize(RNG.integers(0, 256, (4, 6, 3), np.uint8), (48, 32), interpolation=cv2.INTER_CUBIC)


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False):
    """An Image as another program would make it, rows padded."""
    height, width = pixels.shape[:2]
    pixels = pixels.byteswap() if big_endian else pixels
    rows = np.frombuffer(pixels.tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    made = sensor_msgs.Image(width=width, height=height, encoding=encoding, step=rows.shape[1])
    made.is_bigendian = int(big_endian)
    made.data = array("B", rows.tobytes())
    return made


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", SMOOTH),
        ("bgr8", SMOOTH[..., ::-1]),
        ("rgba8", np.dstack([SMOOTH, SMOOTH[..., :1]])),
        ("bgra8", np.dstack([SMOOTH[..., ::-1], SMOOTH[..., :1]])),
        ("8UC3", SMOOTH[..., ::-1]),
        ("rgb16", SMOOTH.astype(np.uint16) * 257),
        ("bgr16", SMOOTH[..., ::-1].astype(np.uint16) * 257),
    ],
)
@pytest.mark.parametrize("padding", [0, 6])
def test_colour_encodings_give_the_same_picture_whatever_the_padding(encoding, pixels, padding):
    assert np.array_equal(decode_image(message(pixels, encoding, padding)), SMOOTH)


@pytest.mark.parametrize(("encoding", "factor"), [("mono8", 1), ("8UC1", 1), ("mono16", 257)])
def test_grey_images_become_three_equal_channels(encoding, factor):
    grey = SMOOTH[..., 0].astype(np.uint8 if factor == 1 else np.uint16) * factor
    decoded = decode_image(message(grey, encoding))
    assert np.array_equal(decoded, np.repeat(SMOOTH[..., :1], 3, axis=2))


def test_sixteen_bit_images_of_the_other_byte_order_are_swapped():
    pixels = SMOOTH.astype(np.uint16) * 257
    assert np.array_equal(decode_image(message(pixels, "rgb16", big_endian=True)), SMOOTH)


@pytest.mark.parametrize(
    ("pattern", "offsets"),
    [("rggb", (0, 1, 1, 2)), ("bggr", (2, 1, 1, 0)), ("gbrg", (1, 2, 0, 1)), ("grbg", (1, 0, 2, 1))],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_give_back_an_even_colour(pattern, offsets, bits):
    colour = np.array([200, 100, 40])
    mosaic = np.empty((8, 8), np.uint8)
    for place, channel in enumerate(offsets):
        mosaic[place // 2 :: 2, place % 2 :: 2] = colour[channel]
    if bits == 16:
        mosaic = mosaic.astype(np.uint16) * 257
    decoded = decode_image(message(mosaic, f"bayer_{pattern}{bits}"))
    assert np.abs(decoded[2:-2, 2:-2].astype(int) - colour).max() <= 1


@pytest.mark.parametrize(
    ("encoding", "luma_first"),
    [("yuv422", False), ("uyvy", False), ("yuv422_yuy2", True), ("yuyv", True)],
)
def test_yuv422_gives_back_an_even_colour(encoding, luma_first):
    """BT.601, video range, as ROS and OpenCV take it."""
    r, g, b = 180.0, 90.0, 30.0
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    pair = [y, u, y, v] if luma_first else [u, y, v, y]
    packed = np.tile(np.round(pair).astype(np.uint8), (6, 4)).reshape(6, 8, 2)
    assert np.abs(decode_image(message(packed, encoding)).astype(int) - [r, g, b]).max() <= 3


def test_a_jpeg_survives_within_its_quality_and_a_png_exactly():
    assert np.abs(decode_image(encode_jpeg(SMOOTH, Header(), 98)).astype(int) - SMOOTH).mean() < 4
    png = cv2.imencode(".png", SMOOTH[..., ::-1])[1].tobytes()
    compressed = sensor_msgs.CompressedImage(format="bgr8; png compressed bgr8", data=array("B", png))
    assert np.array_equal(decode_image(compressed), SMOOTH)


@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_what_is_encoded_is_decoded_again(width, height):
    image = np.random.default_rng(width * 41 + height).integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(decode_image(encode_image(image, Header())), image)


def test_depth_in_millimetres_and_metres_agree_and_the_unknown_is_nan():
    metres = np.array([[0.0, 0.5], [1.234, 7.0]], np.float32)
    millimetres = (metres * 1000).round().astype(np.uint16)
    for encoded in (message(metres, "32FC1"), message(millimetres, "16UC1", padding=2)):
        depth = decode_depth(encoded)
        assert np.isnan(depth[0, 0])
        assert np.allclose(depth[metres > 0], metres[metres > 0], atol=1e-4)


def test_compressed_depth_in_millimetres_and_quantised_metres():
    millimetres = np.array([[0, 500], [1234, 7000]], np.uint16)
    png = cv2.imencode(".png", millimetres)[1].tobytes()
    made = sensor_msgs.CompressedImage(
        format="16UC1; compressedDepth png", data=array("B", bytes(12) + png)
    )
    assert np.allclose(decode_depth(made)[1], [1.234, 7.0])
    a, b = 100.0 * 101.0, -100.0  # depth = a / (stored - b), as the transport writes it
    metres = np.array([[0.5, 2.0], [5.0, 9.5]])
    stored = np.round(a / metres + b).astype(np.uint16)
    header = np.array([0, *np.array([a, b], np.float32).view(np.int32)], np.int32).tobytes()
    png = cv2.imencode(".png", stored)[1].tobytes()
    made = sensor_msgs.CompressedImage(format="32FC1; compressedDepth", data=array("B", header + png))
    assert np.allclose(decode_depth(made), metres, rtol=5e-3)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (sensor_msgs.Image(width=4, height=4, encoding="rgb8", step=12, data=bytes(40)), "cut it short"),
        (sensor_msgs.Image(width=0, height=4, encoding="rgb8"), "empty"),
        (sensor_msgs.Image(width=4, height=4, encoding="rgb8", step=3, data=bytes(48)), "step 3"),
        (sensor_msgs.Image(width=4, height=4, encoding="yuv411", step=8), "'yuv411'"),
        (sensor_msgs.CompressedImage(format="jpeg", data=array("B", b"no jpeg")), "cannot be decoded"),
        (sensor_msgs.CompressedImage(format="jpeg"), "0 bytes"),
    ],
)  # fmt: skip
def test_a_broken_image_says_what_is_wrong(broken, says):
    with pytest.raises(SurfposeError, match=says):
        decode_image(broken)


def test_a_colour_image_is_refused_as_depth():
    with pytest.raises(SurfposeError, match="16UC1"):
        decode_depth(message(SMOOTH, "rgb8"))


def test_cv_bridge_gives_the_same_pixels():
    from surfpose_ros.messages.images import sound_cv_bridge

    bridge = sound_cv_bridge()
    if bridge is None:
        pytest.skip("cv_bridge is not installed, or spoils images with this NumPy")
    for encoding, pixels in (
        ("bgr8", SMOOTH),
        ("bayer_rggb8", SMOOTH[..., 0]),
        ("yuv422", SMOOTH[..., :2]),
    ):
        made = message(np.ascontiguousarray(pixels), encoding)
        ours = cv2.cvtColor(pixels, {"bgr8": cv2.COLOR_BGR2RGB, "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
                                     "yuv422": cv2.COLOR_YUV2RGB_UYVY}[encoding])  # fmt: skip
        assert np.array_equal(bridge.imgmsg_to_cv2(made, "rgb8"), ours)
