"""Category-level 6D pose from plain object videos, learnt without labels and used live in ROS 2."""

import os

# OpenCV's own limit is 2^30: a JPEG of a thousand bytes that claims as much takes 5 GB. It reads this once,
# when it is imported.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
# PyTorch's threads wait for each other many times a step. Waiting awake gains nothing on a quiet machine,
# and beside other programs it takes the cores from those waited for. Read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
