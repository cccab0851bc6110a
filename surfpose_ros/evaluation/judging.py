"""The test images of a labels CSV: whose, with which boxes, and before which backgrounds.

Studio pictures are made harder by parts of photos behind their objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.samples import ChangedSample, PoseSample, samples_from_labels, spread
from surfpose_ros.video.import_pictures import picture_files
from surfpose_ros.video.labels import LabelRow, read_labels
from surfpose_ros.video.pictures import read_mask


@dataclass(frozen=True)
class PastedSample(ChangedSample):
    """A sample whose object stands before a photo when read.

    Attributes:
        mask: picture of the object's mask.
    """

    mask: Path = Path()

    def changed(self, image: np.ndarray, photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The image with another background."""
        return paste(image, read_mask(self.mask), photo, random)


def category_rows(labels: Path, root: Path | None, category: str) -> list[LabelRow]:
    """The rows of a category in a labels CSV; `root` is the CSV's folder if None.

    Raises:
        SurfposeError: as `read_labels`; none of the category.
    """
    rows = [row for row in read_labels(labels, root or labels.parent) if row.category in ("", category)]
    if not rows:
        raise SurfposeError(f"{labels}: no image of {category!r}")
    return rows


def judging_samples(
    rows: Sequence[LabelRow], backgrounds: Path | None = None, limit: int | None = None
) -> list[PoseSample]:
    """At most `limit` of the rows as samples, before photos of a folder if one is given.

    Raises:
        SurfposeError: masks or photos that are missing.
    """
    return spread(paste_samples(rows, backgrounds) if backgrounds else boxed_samples(rows), limit)


def boxed_samples(rows: Sequence[LabelRow]) -> list[PoseSample]:
    """The rows as samples; where no box is labelled, the mask's is taken.

    Raises:
        SurfposeError: a mask that cannot be read.
    """
    boxed = [row if row.box or not row.mask else _with_box(row, row.mask) for row in rows]
    return samples_from_labels(boxed)


def paste_samples(rows: Sequence[LabelRow], photos: Path) -> list[PoseSample]:
    """As `boxed_samples`, the objects cut out and laid over photos of a folder.

    Raises:
        SurfposeError: no photo there, or a row without a mask.
    """
    found = tuple(picture_files(photos))
    if not found:
        raise SurfposeError(f"{photos}: no photos to lay objects over")
    bare = [row.image for row in rows if row.mask is None]
    if bare:
        raise SurfposeError(f"{bare[0]} has no mask in the labels; its background cannot be replaced")
    return [
        PastedSample.of(sample, mask=row.mask or Path(), photos=found)
        for sample, row in zip(boxed_samples(rows), rows, strict=True)
    ]


def paste(
    image: np.ndarray, mask: np.ndarray, photo: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """The masked object before a part of a photo.

    Args:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` bool.
        photo: ``(h, w, 3)`` uint8, enlarged or shrunk to just cover the image.
        random: says which part of it.
    """
    height, width = mask.shape
    scale = max(height / photo.shape[0], width / photo.shape[1])
    size = (max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale)))
    covering = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = random.integers(size[0] - width + 1), random.integers(size[1] - height + 1)
    behind = covering[top : top + height, left : left + width]
    # A mask's last pixel shows the old background too: without it, and with a soft edge.
    inner = cv2.erode(mask.astype(np.float32), np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE)
    share = cv2.GaussianBlur(inner, (0, 0), 0.7)[..., None]
    return (share * image + (1 - share) * behind).round().astype(np.uint8)


def _with_box(row: LabelRow, mask: Path) -> LabelRow:
    x, y, width, height = cv2.boundingRect(read_mask(mask).astype(np.uint8))
    return replace(row, box=(float(x), float(y), float(width), float(height)))
