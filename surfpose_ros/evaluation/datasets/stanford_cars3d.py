"""StanfordCars3D: poses of Wang et al. (ECCV 2018 workshops) for the photos of Krause et al. (2013).

The authors' camera is left-handed: image coordinates are f R x / (R x)_z with both signs turned over. Their
poses are read for the mirror image of the CAD model, which a car hardly shows, so that the rotation is one.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import labelled_image, load_plain_pickle, require
from surfpose_ros.evaluation.samples import PoseSample
from surfpose_ros.geometry.rotations import camera_from_object_views

SOURCE = (
    "https://github.com/yangyi02/finegrained-pose (Anno3D); photos: Stanford Cars (cars_train, cars_test)"
)


def read_stanford_cars3d(root: Path, split: str = "train", version: int = 2) -> list[PoseSample]:
    """All labelled photos of a split; each is a crop's worth of one car, with unknown intrinsics.

    Args:
        root: folder with `Anno3D/StanfordCars` and `Image/StanfordCars/cars_train`, `cars_test`.
        split: train or test.
        version: of the annotations: 1, or 2 with the refined ones.

    Raises:
        SurfposeError: a part of the data set is missing or damaged.
    """
    suffix = "" if version == 1 else f"_v{version}"
    path = root / "Anno3D" / "StanfordCars" / f"{split}_anno{suffix}.pkl"
    require(path, f"the {split} annotation", SOURCE)
    labels = load_plain_pickle(path.read_bytes(), str(path))
    if not isinstance(labels, dict):
        raise SurfposeError(f"{path}: not a dictionary of annotations; get it from {SOURCE}")
    return [_sample(root, split, name, labels[name], path) for name in sorted(labels)]


def rotation_from_angles(azimuth: float, elevation: float, theta: float) -> np.ndarray:
    """``camera_from_object`` ``(3, 3)`` of the authors' angles in radians; object x front, y left, z up."""
    angles = torch.tensor([np.pi / 2 - azimuth, elevation, theta], dtype=torch.float64)
    return camera_from_object_views(*angles).numpy()


def _sample(root: Path, split: str, name: str, entry: dict[str, Any], label: Path) -> PoseSample:
    try:
        angles = [float(entry[key]) for key in ("azimuth", "elevation", "theta")]
        group = str(entry["model_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise SurfposeError(
            f"{label}: {name} lacks a field ({error}); get it again from {SOURCE}"
        ) from error
    if not np.isfinite(angles).all():
        raise SurfposeError(f"{label}: the pose of {name} is not finite; mend the label")
    return PoseSample(
        name=f"cars_{split}/{name}",
        path=labelled_image(root, f"Image/StanfordCars/cars_{split}/{name}", label),
        rotation=rotation_from_angles(*angles),
        category="car",
        group=group,
    )
