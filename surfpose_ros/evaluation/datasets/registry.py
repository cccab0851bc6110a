"""The data sets by name, as `surfpose evaluate pose --dataset NAME` reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets import bop, eth80, imagenet3d, objectron, pascal3d, stanford_cars3d
from surfpose_ros.evaluation.samples import PoseSample


@dataclass(frozen=True)
class Dataset:
    """How one data set is read.

    Attributes:
        read: takes the root folder, the category and the split.
        split: taken if nobody names one.
        source: where it is to be had.
    """

    read: Callable[[Path, str, str], list[PoseSample]]
    split: str
    source: str


DATASETS = {
    "pascal3d": Dataset(pascal3d.read_pascal3d, "val", pascal3d.PASCAL3D_SOURCE),
    "objectnet3d": Dataset(pascal3d.read_objectnet3d, "test", pascal3d.OBJECTNET3D_SOURCE),
    "imagenet3d": Dataset(imagenet3d.read_imagenet3d, "val", imagenet3d.SOURCE),
    "stanford-cars3d": Dataset(
        lambda root, category, split: stanford_cars3d.read_stanford_cars3d(root, split),
        "train",
        stanford_cars3d.SOURCE,
    ),
    "eth80": Dataset(lambda root, category, split: eth80.read_eth80(root, category), "all", eth80.SOURCE),
    "objectron": Dataset(objectron.read_objectron_split, "test", objectron.SOURCE),
    "bop": Dataset(lambda root, category, split: bop.read_bop(root, split), "test", bop.SOURCE),
}


def read_dataset(name: str, root: Path, category: str, split: str | None = None) -> list[PoseSample]:
    """The samples of a category in a data set on disk.

    Raises:
        SurfposeError: an unknown data set, or parts of it missing (the message says where to get them).
    """
    if name == "co3d":
        raise SurfposeError(
            "co3d labels cameras, and no object's rotation: no pose can be scored on it. Its videos are "
            "aligned and scored by `surfpose benchmark paper-alignment --co3d`"
        )
    if name not in DATASETS:
        raise SurfposeError(f"no reader for the data set {name!r}; there are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if not root.is_dir():
        raise SurfposeError(f"{root}: no such folder; --root is where {name} lies ({dataset.source})")
    return dataset.read(root, category, split or dataset.split)
