"""PASCAL3D+ (Xiang et al., WACV 2014) release 1.1, and ObjectNet3D (Xiang et al., ECCV 2016).

Both label objects in .mat files with a `record`; they differ in their folders. Translations are in the
CAD models' units, so only rotations, intrinsics and boxes are taken over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.io

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import check_unique, labelled_image, require
from surfpose_ros.evaluation.datasets.viewpoints import box_from_corners, intrinsics, rotation_from_angles
from surfpose_ros.evaluation.samples import PoseSample

PASCAL3D_SOURCE = "https://cvgl.stanford.edu/projects/pascal3d.html (PASCAL3D+_release1.1.zip)"
OBJECTNET3D_SOURCE = "https://cvgl.stanford.edu/projects/objectnet3d/ (images, annotations, image sets)"

# Our names of categories where they differ from the authors'.
PASCAL3D_NAMES = {
    "airplane": "aeroplane", "couch": "sofa", "motorcycle": "motorbike", "table": "diningtable",
    "tv": "tvmonitor",
}  # fmt: skip
OBJECTNET3D_NAMES = {**PASCAL3D_NAMES, "hairdryer": "hair_dryer", "remote": "remote_control"}


def read_pascal3d(
    root: Path,
    category: str,
    split: str = "val",
    source: Literal["imagenet", "pascal"] = "imagenet",
    first_only: bool = False,
) -> list[PoseSample]:
    """Objects of one category of PASCAL3D+ whose fine viewpoint is labelled.

    Args:
        root: the unpacked `PASCAL3D+_release1.1`.
        category: ours or theirs ("couch" and "sofa" are one).
        split: train or val.
        source: photos from ImageNet or from PASCAL VOC 2012.
        first_only: take the first labelled object of each image, as the paper's release does.

    Raises:
        SurfposeError: a part of the data set is missing or damaged.
    """
    theirs = PASCAL3D_NAMES.get(category, category)
    folder = f"{theirs}_{source}"
    require(root / "Annotations", "the folder of annotations", PASCAL3D_SOURCE)
    if source == "imagenet":
        list_path = root / "Image_sets" / f"{folder}_{split}.txt"
    else:
        sets = root / "PASCAL" / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
        list_path = sets / f"{theirs}_{split}.txt"
    names = _image_set(require(list_path, f"the list of {split} images of {theirs}", PASCAL3D_SOURCE))
    suffix = ".JPEG" if source == "imagenet" else ".jpg"
    samples: list[PoseSample] = []
    for name in names:
        label = require(
            root / "Annotations" / folder / f"{name}.mat",
            "the annotation of a listed image",
            PASCAL3D_SOURCE,
        )
        image = labelled_image(root, f"Images/{folder}/{name}{suffix}", label)
        found = list(_objects(label, image, theirs, category))
        samples += found[:1] if first_only else found
    return samples


def read_objectnet3d(root: Path, category: str, split: str = "test") -> list[PoseSample]:
    """Objects of one category of ObjectNet3D.

    Args:
        root: folder with `Annotations`, `Images` and `Image_sets`.
        category: ours or theirs ("couch" and "sofa" are one).
        split: train, val, trainval or test.

    Raises:
        SurfposeError: a part of the data set is missing or damaged.
    """
    theirs = OBJECTNET3D_NAMES.get(category, category)
    list_path = require(
        root / "Image_sets" / f"{split}.txt", f"the list of {split} images", OBJECTNET3D_SOURCE
    )
    samples: list[PoseSample] = []
    for name in _image_set(list_path):
        label = root / "Annotations" / f"{name}.mat"
        require(label, "the annotation of a listed image", OBJECTNET3D_SOURCE)
        image = root / "Images" / f"{name}.JPEG"
        found = list(_objects(label, image, theirs, category))
        if found:
            labelled_image(root, f"Images/{name}.JPEG", label)
        samples += found
    return samples


def _image_set(path: Path) -> list[str]:
    """Names of a list; VOC's lists have a second column, -1 where the category is absent."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = [row[0] for row in rows if len(row) == 1 or row[1] != "-1"]
    check_unique(names, str(path))
    return names


def _objects(label: Path, image: Path, theirs: str, ours: str) -> Iterator[PoseSample]:
    for index, entry in enumerate(_read_record(label)):
        viewpoint = entry.get("viewpoint")
        if entry.get("class") != theirs or not isinstance(viewpoint, dict):
            continue
        angles = _angles(viewpoint)
        # A distance of zero marks objects of which only the coarse viewpoint was labelled.
        if angles is None or _number(viewpoint, "distance", 0.0) <= 0:
            continue
        where = f"{label}: object {index + 1}"
        if not np.isfinite(angles).all():
            raise SurfposeError(f"{where}: the viewpoint is not finite; mend the label")
        corners = np.asarray(entry.get("bbox"), dtype=np.float64).ravel()
        if corners.shape != (4,) or not np.isfinite(corners).all():
            raise SurfposeError(f"{where}: bbox is not four numbers; mend the label")
        focal = _number(viewpoint, "focal", 1.0) * _number(viewpoint, "viewport", 2000.0)
        px = _number(viewpoint, "px", (corners[0] + corners[2]) / 2)
        py = _number(viewpoint, "py", (corners[1] + corners[3]) / 2)
        yield PoseSample(
            name=f"{image.parent.name}/{image.stem}#{index + 1}",
            path=image,
            rotation=rotation_from_angles(*angles),
            category=ours,
            matrix=intrinsics(focal, px, py) if focal > 0 else None,
            box=box_from_corners(*corners),
            group=image.stem,
            occlusion=_occlusion(entry),
        )


def _read_record(label: Path) -> list[dict[str, Any]]:
    try:
        content = scipy.io.loadmat(label, simplify_cells=True)
        objects = content["record"]["objects"]
    except Exception as error:  # SciPy raises whatever its parser trips over
        raise SurfposeError(f"{label}: no annotation with a record ({error}); unpack it again") from error
    # A struct array of one element arrives as the element itself.
    entries = [objects] if isinstance(objects, dict) else list(objects)
    return [entry for entry in entries if isinstance(entry, dict)]


def _angles(viewpoint: dict[str, Any]) -> tuple[float, float, float] | None:
    azimuth = _number(viewpoint, "azimuth", _number(viewpoint, "azimuth_coarse", np.inf))
    elevation = _number(viewpoint, "elevation", _number(viewpoint, "elevation_coarse", np.inf))
    if np.isinf(azimuth) or np.isinf(elevation):
        return None
    return azimuth, elevation, _number(viewpoint, "theta", 0.0)


def _number(fields: dict[str, Any], name: str, default: float) -> float:
    """A field, or the default where it is absent or empty."""
    value = np.asarray(fields.get(name, []), dtype=np.float64).ravel()
    return float(value[0]) if value.size else default


def _occlusion(entry: dict[str, Any]) -> str:
    flags = [name for name in ("occluded", "truncated", "difficult") if _number(entry, name, 0.0)]
    return " and ".join(flags) or "fully visible"
