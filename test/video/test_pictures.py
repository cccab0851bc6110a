"""Picture files that are damaged, or claim to be what they are not."""

import struct

import cv2
import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.pictures import decode_picture, read_picture, save_picture


def test_a_saved_picture_is_read_back(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    save_picture(tmp_path / "a.png", picture)
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture)


@pytest.mark.parametrize("side", [15_000, 30_000, 65_000])
def test_a_small_jpeg_that_claims_a_huge_picture_is_refused_at_once(side):
    data = bytearray(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    size = data.find(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", side, side)
    with pytest.raises(SurfposeError, match=r"a\.jpg: not a picture"):
        decode_picture(bytes(data), "a.jpg")
