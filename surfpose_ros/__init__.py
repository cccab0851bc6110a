"""Category-level 6D pose from plain object videos, learnt without labels and used live in ROS 2."""

__version__ = "0.1.0"
