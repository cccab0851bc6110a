"""Object masks where the bag has none: against a background picture.

`background` wants pictures of the scene without the object, from the same camera. It cannot learn them
from the frames themselves: on a turntable the object covers the middle of every one of them.
"""

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError

# A change this strong (CIELAB units) is the object for sure; one this weak may belong to it.
SURE_CHANGE, WEAK_CHANGE = 24.0, 10.0
# A shadow darkens all of RGB by one factor, down to this one, but for so many grey levels.
SHADOW_DEPTH, SHADOW_RESIDUAL = 0.45, 14.0


def mask_from_background(image: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Where an image differs from the empty scene and is no mere shadow on it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        background: the same camera's picture without the object.

    Returns:
        ``(H, W)`` bool: the largest changed region, small and shaded holes filled.

    Raises:
        SurfposeError: the pictures differ in size.
    """
    if image.shape != background.shape:
        raise SurfposeError(
            "the background picture differs in size from the images; record it with the same camera"
        )
    lab, lab_empty = (_lab(picture) for picture in (image, background))
    change = np.linalg.norm(lab - lab_empty, axis=2)
    shadow = _is_shadow(image, background)
    weak = (change > WEAK_CHANGE) & ~shadow
    sure = (change > SURE_CHANGE) & ~shadow
    return _fill_shaded_holes(clean_mask(_touching(weak, sure)), shadow & (change > WEAK_CHANGE))


def _is_shadow(image: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Pixels ``(H, W)`` bool whose colour is the background's times one factor below one."""
    seen, empty = (
        cv2.GaussianBlur(picture, (3, 3), 0).astype(np.float32) for picture in (image, background)
    )
    factor = (seen * empty).sum(axis=2) / np.maximum((empty * empty).sum(axis=2), 1.0)
    residual = np.linalg.norm(seen - factor[..., None] * empty, axis=2)
    return (factor > SHADOW_DEPTH) & (factor < 1.0) & (residual < SHADOW_RESIDUAL)


def clean_mask(mask: np.ndarray) -> np.ndarray:
    """The largest region of a mask ``(H, W)`` bool, specks and cracks gone, small holes filled."""
    radius = max(1, round(min(mask.shape) / 240))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    tidy = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    tidy = cv2.morphologyEx(tidy, cv2.MORPH_OPEN, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(tidy)
    if len(stats) < 2:
        return np.zeros(mask.shape, bool)
    largest = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return fill_small_holes(largest, share=0.01)


def _fill_shaded_holes(mask: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """Fill holes that are mostly shadow: inside the object it is rather its own shaded side."""
    count, labels = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    area = np.bincount(labels.ravel(), minlength=count)
    shaded = np.bincount(labels.ravel(), weights=shadow.ravel(), minlength=count) > 0.5 * area
    shaded[border] = False
    shaded[labels[mask]] = False
    return mask | shaded[labels]


def fill_small_holes(mask: np.ndarray, share: float) -> np.ndarray:
    """Fill holes below a share of the mask's area; a mug's handle keeps its own."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < share * mask.sum()
    small[0] = False
    return mask | small[labels]


def _touching(weak: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """The weak regions that contain a sure pixel (hysteresis)."""
    count, labels = cv2.connectedComponents(weak.astype(np.uint8))
    keep = np.zeros(count, bool)
    keep[np.unique(labels[sure])] = True
    keep[0] = False
    return keep[labels]


def _lab(picture: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(picture, (3, 3), 0)
    return cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
