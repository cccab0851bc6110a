"""Object masks from single pictures: against a plain backdrop, or by GrabCut about the picture's middle."""

import cv2
import numpy as np

from surfpose_ros.video.masks import clean_mask

# CIELAB units: what a plain backdrop may vary about its smooth model, and what is no backdrop for sure.
PLAIN_SPREAD, OFF_BACKDROP = 2.5, 12.0
# Size at which GrabCut works, pixels; its cost grows with the area.
GRABCUT_SIZE = 256


def mask_from_backdrop(image: np.ndarray) -> np.ndarray | None:
    """The object before a plain backdrop: what differs from the smooth colour seen along the border.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W)`` bool; None if the border is not plain.
    """
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    height, width = lab.shape[:2]
    band = max(2, round(0.04 * min(height, width)))
    border = np.ones((height, width), bool)
    border[band:-band, band:-band] = False
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    # Light falls off over a backdrop: a quadratic in x and y follows it.
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    kept = border
    for _ in range(3):  # an object that touches the border is left out of the fit
        model = np.linalg.lstsq(terms[kept], lab[kept], rcond=None)[0]
        difference = np.linalg.norm(lab - terms @ model, axis=2)
        kept = border & (difference < max(2 * PLAIN_SPREAD, np.median(difference[border])))
    if np.percentile(difference[border], 80) > PLAIN_SPREAD:
        return None
    return clean_mask(difference > OFF_BACKDROP)


def mask_by_grabcut(image: np.ndarray) -> np.ndarray:
    """The object in the middle of a picture by GrabCut (Rother et al., SIGGRAPH 2004).

    The border is background for sure, an ellipse in the middle probably the object.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W)`` bool.
    """
    height, width = image.shape[:2]
    scale = GRABCUT_SIZE / max(height, width)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    labels = np.full((rows, columns), cv2.GC_PR_BGD, np.uint8)
    middle, axes = (columns // 2, rows // 2), (round(0.3 * columns), round(0.3 * rows))
    cv2.ellipse(labels, middle, axes, 0, 0, 360, int(cv2.GC_PR_FGD), -1)
    band = max(2, round(0.03 * min(rows, columns)))
    labels[:band], labels[-band:], labels[:, :band], labels[:, -band:] = (cv2.GC_BGD,) * 4
    cv2.setRNGSeed(0)
    cv2.grabCut(small, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    large = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return clean_mask(large > 0.5)
