"""Object masks from pictures alone: against a plain backdrop, or by GrabCut."""

import cv2
import numpy as np

from surfpose_ros.video.masks import clean_mask

# CIELAB units: what a plain backdrop may vary about its smooth model, and what is no backdrop for sure.
PLAIN_SPREAD, OFF_BACKDROP = 2.5, 12.0
# Size at which GrabCut works, pixels; its cost grows with the area.
GRABCUT_SIZE = 256
# Round a silhouette, so much of its size may still belong to the object.
AROUND = 0.12


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
    found = _grabcut(small, labels)
    large = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return clean_mask(large > 0.5)


def masks_from_silhouettes(images: np.ndarray, silhouettes: np.ndarray) -> np.ndarray:
    """The object in several pictures of it, by one GrabCut seeded with about where it is in each.

    All pictures share one colour model of the object and one of what is around it: a shadow, or a part of
    the table, that the silhouette of one takes in is background in the others.

    Args:
        images: ``(N, S, S, 3)`` uint8 RGB.
        silhouettes: such as those of a hull of doubtful masks, ``(N, S, S)`` bool.

    Returns:
        ``(N, S, S)`` bool.
    """
    labels = np.full(silhouettes.shape, cv2.GC_BGD, np.uint8)
    for own, silhouette in zip(labels, silhouettes, strict=True):
        reach = max(1, round(AROUND * np.sqrt(silhouette.sum())))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        own[cv2.dilate(silhouette.astype(np.uint8), kernel) > 0] = cv2.GC_PR_BGD
        own[silhouette] = cv2.GC_PR_FGD
    size = images.shape[2]
    found = _grabcut(images.reshape(-1, size, 3), labels.reshape(-1, size))  # one above the other
    return found.reshape(silhouettes.shape)


def _grabcut(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Object ``(H, W)`` bool in an RGB picture from OpenCV's labels, which are changed.

    Colours are CIELAB's, lightness at half its weight: a shadow keeps the colour of what it falls on.
    """
    if not np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
        return np.zeros(labels.shape, bool)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    colours = np.clip(lab * (1.27, 2.0, 2.0) + (0, 128, 128), 0, 255).astype(np.uint8)
    cv2.setRNGSeed(0)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(colours, labels, (0, 0, 1, 1), background, foreground, 5, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
