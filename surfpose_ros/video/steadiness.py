"""How well each mask of a video agrees with those before and after it, and masks that do not are dropped.

An object turns or the camera walks, but neither changes a silhouette's shape from one frame to the next as
a failed segmentation does: half of the object lost, or the table taken with it.
"""

from dataclasses import replace

import cv2
import numpy as np

from surfpose_ros.video.object_video import Frame

# Silhouettes are compared on squares of so many pixels, with so many frames before and after.
SIZE, REACH = 64, 2
# A mask is dropped where its agreement is below this share of the video's median; none where the median is
# low itself: views far apart differ by right.
LEAST, DENSE = 0.75, 0.8
# Sizes of the same object in neighbouring pictures do not differ by more (ratio of areas).
SAME_SIZE = 2.0


def steady_masks(frames: list[Frame], trusted: bool = False) -> tuple[list[Frame], int]:
    """The frames with `mask_quality`, and how many masks were dropped because they stand alone.

    Masks that are `trusted`, since they were recorded and not found here, are all kept.
    """
    masks = [frame.mask for frame in frames]
    qualities = mask_qualities(masks)
    known = [quality for quality in qualities if quality is not None]
    median = float(np.median(known)) if known else 0.0
    least = LEAST * median if median > DENSE and not trusted else 0.0
    rated = []
    for frame, quality in zip(frames, qualities, strict=True):
        dropped = quality is not None and quality < least
        rated.append(replace(frame, mask=None if dropped else frame.mask, mask_quality=quality))
    return rated, sum(quality is not None and quality < least for quality in qualities)


def mask_qualities(masks: list[np.ndarray | None]) -> list[float | None]:
    """Best overlap (intersection over union, 0 to 1) of each mask with those up to `REACH` frames away.

    Masks are compared centred and at one size, since objects move in the picture; a neighbour whose area is
    another altogether does not count. None where there is no mask, or no object in it.
    """
    areas = [0 if mask is None else int(mask.sum()) for mask in masks]
    centred = [None if not area else _centred(mask) for mask, area in zip(masks, areas, strict=True)]
    qualities: list[float | None] = []
    for index, own in enumerate(centred):
        if own is None:
            qualities.append(None)
            continue
        best = 0.0
        for other in range(max(0, index - REACH), min(len(masks), index + REACH + 1)):
            near = centred[other]
            if other == index or near is None:
                continue
            ratio = areas[other] / areas[index]
            if 1 / SAME_SIZE < ratio < SAME_SIZE:
                best = max(best, float((own & near).sum() / (own | near).sum()))
        qualities.append(best)
    return qualities


def _centred(mask: np.ndarray | None) -> np.ndarray:
    """The silhouette with its centre of mass in the middle and its area a quarter of the square."""
    if mask is None:
        raise ValueError("no mask")
    rows, columns = np.nonzero(mask)
    step = np.sqrt(len(rows)) / (SIZE / 2)
    back = np.array(
        [
            [step, 0, columns.mean() - step * (SIZE - 1) / 2],
            [0, step, rows.mean() - step * (SIZE - 1) / 2],
        ]
    )
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
    return cv2.warpAffine(mask.astype(np.uint8), back, (SIZE, SIZE), flags=flags) > 0
