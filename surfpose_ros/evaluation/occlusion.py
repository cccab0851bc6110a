"""Test images whose objects are partly covered by patches of other photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.samples import ChangedSample, PoseSample

TRIES = 200


@dataclass(frozen=True)
class CoveredSample(ChangedSample):
    """A sample of which a share of the object's box (the image, where it has none) is covered when read.

    Attributes:
        cover: least and greatest share.
    """

    cover: tuple[float, float] = (0.0, 0.0)

    def changed(self, image: np.ndarray, photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The image with patches of the photo."""
        box = self.box or (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        return cover_box(image, box, self.cover, photo, random)


def cover_samples(
    samples: Sequence[PoseSample], cover: tuple[float, float], photos: Path
) -> list[PoseSample]:
    """The samples, covered by patches of the photos in a folder.

    Raises:
        SurfposeError: no photo there, or shares that are none.
    """
    low, high = cover
    if not 0 <= low < high <= 0.95:
        raise SurfposeError(f"cover {low:.0%} to {high:.0%}: shares rise, from 0 to 95 per cent")
    found = tuple(sorted(path for path in photos.glob("*") if path.suffix.lower() in (".jpg", ".png")))
    if not found:
        raise SurfposeError(f"{photos}: no photos (jpg, png) to cover objects with")
    return [CoveredSample.of(sample, cover=cover, photos=found) for sample in samples]


def cover_box(
    image: np.ndarray,
    box: tuple[float, float, float, float],
    cover: tuple[float, float],
    photo: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """A copy of an image, patches of a photo over a share of a box.

    Args:
        image: ``(H, W, 3)`` uint8.
        box: x, y, width, height in pixels.
        cover: least and greatest share of the box's area.
        photo: ``(h, w, 3)`` uint8, as a whole laid over the box; patches show their part of it.
        random: draws the patches.
    """
    left, top = max(int(box[0]), 0), max(int(box[1]), 0)
    right = min(round(box[0] + box[2]), image.shape[1])
    bottom = min(round(box[1] + box[3]), image.shape[0])
    width, height = right - left, bottom - top
    covered = np.zeros((height, width), bool)
    wanted = random.uniform(*cover)
    for _ in range(TRIES):
        if covered.mean() >= wanted:
            break
        # No patch may go much beyond what is still wanted.
        share = np.sqrt(min(wanted - covered.mean() + 0.02, 0.2))
        w, h = (max(1, int(side * share * random.uniform(0.7, 1.4))) for side in (width, height))
        x, y = random.integers(max(1, width - w + 1)), random.integers(max(1, height - h + 1))
        patched = covered.copy()
        patched[y : y + h, x : x + w] = True
        if patched.mean() <= cover[1]:
            covered = patched
    result = image.copy()
    laid = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    result[top:bottom, left:right][covered] = laid[covered]
    return result
