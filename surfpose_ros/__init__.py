"""Category-level 6D pose from plain object videos, learnt without labels and used live in ROS 2."""

import os

# OpenCV's own limit is 2^30: a JPEG of a thousand bytes that claims as much takes 5 GB. It reads this once,
# when it is imported.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))

__version__ = "0.1.0"
