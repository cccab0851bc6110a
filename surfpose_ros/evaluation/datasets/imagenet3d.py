"""ImageNet3D (Ma et al., NeurIPS 2024), version 1: .npz files whose `annotations` list the objects."""

from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import check_unique, labelled_image, load_plain_npz, require
from surfpose_ros.evaluation.datasets.viewpoints import intrinsics, rotation_from_angles
from surfpose_ros.evaluation.samples import PoseSample

SOURCE = "https://huggingface.co/datasets/ccvl/ImageNet3D (imagenet3d_v1.zip)"
_STATUS = {
    "status_good": "fully visible",
    "status_partially": "partly hidden",
    "status_barely": "barely visible",
    "status_bad": "bad",
}


def read_imagenet3d(root: Path, category: str, split: str = "val") -> list[PoseSample]:
    """Objects of one category, without those the authors mark to be ignored.

    Args:
        root: folder with `images`, `annotations` and `lists`.
        category: as the authors name it.
        split: train or val.

    Raises:
        SurfposeError: a part of the data set is missing or damaged.
    """
    list_path = root / "lists" / f"{category}_imagenet_{split}.txt"
    require(list_path, f"the list of {split} images of {category}", SOURCE)
    names = list_path.read_text(encoding="utf-8").split()
    check_unique(names, str(list_path))
    samples = []
    for name in names:
        label = root / "annotations" / category / f"{name}.npz"
        require(label, "the annotation of a listed image", SOURCE)
        image = labelled_image(root, f"images/{category}/{name}.JPEG", label)
        for index, entry in enumerate(load_plain_npz(label, "annotations")):
            if _wanted(entry):
                samples.append(_sample(entry, f"{category}/{name}#{index + 1}", image, category, label))
    return samples


def _wanted(entry: dict[str, Any]) -> bool:
    return "px" in entry and float(entry["distance"]) > 0 and not int(entry.get("ignore", 0))


def _sample(entry: dict[str, Any], name: str, image: Path, category: str, label: Path) -> PoseSample:
    try:
        angles = np.rad2deg([float(entry[key]) for key in ("azimuth", "elevation", "theta")])
        x1, y1, x2, y2 = (float(value) for value in entry["bbox"])
        focal = float(entry["viewport"])
        principal = float(entry["px"]), float(entry["py"])
    except (KeyError, TypeError, ValueError) as error:
        raise SurfposeError(
            f"{label}: {name} lacks a field ({error}); get it again from {SOURCE}"
        ) from error
    if not np.isfinite([*angles, focal, *principal]).all():
        raise SurfposeError(f"{label}: {name} has a viewpoint that is not finite; mend the label")
    return PoseSample(
        name=name,
        path=image,
        rotation=rotation_from_angles(*angles),
        category=category,
        # Their own tools draw at the principal point as it stands: its first pixel is (0, 0).
        matrix=intrinsics(focal, principal[0] + 1, principal[1] + 1),
        box=(x1, y1, x2 - x1, y2 - y1),
        group=image.stem,
        occlusion=_STATUS.get(str(entry.get("object_status", "")), ""),
    )
