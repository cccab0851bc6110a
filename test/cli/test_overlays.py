"""Overlays of `surfpose estimate` are whole or absent."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from surfpose_ros.cli.estimate import _overlays

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 96, 128, 3), np.uint8)
FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from surfpose_ros.cli.estimate import _overlays
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with _overlays(Path(sys.argv[1])) as add:
        for picture in np.random.default_rng(0).integers(0, 256, (30, 96, 128, 3), np.uint8):
            add(picture)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(("name", "count"), [("a.jpg", 1), ("a.mp4", 5)])
def test_every_picture_is_in_the_overlay(tmp_path, name, count):
    with _overlays(tmp_path / name) as add:
        for picture in PICTURES[:count]:
            add(picture)
    video = cv2.VideoCapture(str(tmp_path / name))
    assert sum(video.read()[0] for _ in range(10)) == count


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_a_disk_that_is_full_leaves_no_overlay_and_says_its_name(tmp_path, name):
    """The limit on a file's size stands for the disk."""
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / name)], capture_output=True, text=True, check=True
    )
    assert name in run.stdout
    assert list(tmp_path.iterdir()) == []
