"""ETH-80 (Leibe and Schiele, CVPR 2003): toys on a turntable, 41 views an object over the upper hemisphere.

Pictures are named `car1-045-090.png`: object, polar angle from straight above, and azimuth, in degrees.
"""

import re
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import require
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.evaluation.samples import PoseSample
from surfpose_ros.geometry.rotations import camera_from_object_views

SOURCE = "https://github.com/Kai-Xuan/ETH-80 (eth80-cropped-close256 or the full images)"
_NAME = re.compile(r"(?P<object>(?P<category>[a-z]+)\d+)-(?P<polar>\d{3})-(?P<azimuth>\d{3})\.png")


def read_eth80(root: Path, category: str) -> list[PoseSample]:
    """All views of the objects of a category.

    Args:
        root: folder with one folder an object (`car1`, ...), anywhere below it.
        category: apple, car, cow, cup, dog, horse, pear or tomato.

    Raises:
        SurfposeError: no picture of the category.
    """
    require(root, "the folder of ETH-80", SOURCE)
    samples = []
    for path in sorted(root.rglob(f"{category}[0-9]*-*-*.png")):
        match = _NAME.fullmatch(path.name)
        if match and match["category"] == category:
            samples.append(
                PoseSample(
                    name=path.relative_to(root).as_posix(),
                    path=path,
                    rotation=rotation_from_angles(float(match["polar"]), float(match["azimuth"])),
                    category=category,
                    group=match["object"],
                )
            )
    if not samples:
        raise SurfposeError(
            f"{root}: no picture named like {category}1-045-090.png; get them from {SOURCE}"
        )
    return samples


def rotation_from_angles(polar_deg: float, azimuth_deg: float) -> Array:
    """``camera_from_object`` ``(3, 3)``; at their azimuth 0 the camera sees the object's right side."""
    azimuth, elevation = np.deg2rad([azimuth_deg - 90, 90 - polar_deg])
    angles = torch.tensor([azimuth, elevation, 0.0], dtype=torch.float64)
    return camera_from_object_views(*angles).numpy()
