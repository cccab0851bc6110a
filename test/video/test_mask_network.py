"""The network is a real ONNX file, written here byte by byte: a convolution that says how red a spot is."""

import cv2
import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.mask_network import MaskNetwork


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message: a number, or anything with a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor_info(name: str, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(field(1, field(1, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))


def write_network(path, size: int, maps: int = 1):
    weights = np.tile(np.array([4.0, -3.0, -3.0], "<f4"), maps)
    initial = (
        b"".join(field(1, side) for side in (maps, 3, 1, 1))
        + field(2, 1)
        + field(8, "w")
        + field(9, weights.tobytes())
    )
    convolution = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Conv")
    squashed = field(1, "y") + field(2, "mask") + field(4, "Sigmoid")
    graph = field(1, convolution) + field(1, squashed) + field(2, "red") + field(5, initial)
    graph += field(11, tensor_info("x", (1, 3, size, size))) + field(
        12, tensor_info("mask", (1, maps, size, size))
    )
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)))
    return path


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc before a speckled green room, and its mask."""
    image = np.random.default_rng(0).integers(60, 120, (240, 320, 3)).astype(np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    cv2.circle(mask, (180, 110), 60, 1, -1)
    image[..., 0] //= 3
    image[mask > 0] = [220, 40, 30]
    return image, mask > 0


@pytest.mark.parametrize(("name", "size"), [("u2net", 320), ("isnet-general-use", 1024)])
def test_the_object_that_the_network_sees_is_cut_out_at_the_pictures_own_size(tmp_path, scene, name, size):
    image, expected = scene
    mask = MaskNetwork(write_network(tmp_path / f"{name}.onnx", size))(image)
    assert mask.shape == image.shape[:2]
    assert (mask & expected).sum() / (mask | expected).sum() > 0.97


def test_files_that_are_no_such_networks_are_refused(tmp_path, scene):
    with pytest.raises(SurfposeError, match="no such network"):
        MaskNetwork(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(SurfposeError, match="OpenCV cannot load it as ONNX"):
        MaskNetwork(tmp_path / "text.onnx")
    with pytest.raises(SurfposeError, match="not one map"):
        MaskNetwork(write_network(tmp_path / "two.onnx", 320, maps=2))(scene[0])
