"""Where in the image objects of a category may be: connected regions that look like its surface."""

import cv2
import numpy as np
import torch

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.pose.scoring import log_likelihoods

STRIDE = 8
# Longer side of the image in pixels at each scale; objects cover a fifth to four fifths of some.
SCALES = (224, 352, 544)
MIN_CELLS = 8


def propose_boxes(
    image: np.ndarray, model: CategoryModel, most: int
) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height) in pixels that may hold an object, most likely first."""
    found: list[tuple[float, tuple[float, float, float, float]]] = []
    for longer in SCALES:
        foreground, scale = foreground_map(image, model, longer)
        found += _regions(foreground, scale)
    found.sort(key=lambda entry: -entry[0])
    kept: list[tuple[float, float, float, float]] = []
    for _, box in found:
        if all(_iou(box, other) < 0.7 for other in kept):
            kept.append(box)
    return kept[: 2 * most]


def foreground_map(image: np.ndarray, model: CategoryModel, longer: int) -> tuple[np.ndarray, float]:
    """Probability that each cell shows the object, ``(h, w)``, and image pixels a network pixel."""
    scale = max(image.shape[:2]) / longer
    multiple = model.network.backbone.size_multiple
    height, width = (max(multiple, round(side / scale / multiple) * multiple) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    pixels = torch.from_numpy(small).to(model.device).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        features, _ = model.network(pixels)
        clutter = log_likelihoods(model, features)[0, -1].exp()
    return (1 - clutter).cpu().numpy(), scale


def _regions(foreground: np.ndarray, scale: float) -> list[tuple[float, tuple[float, float, float, float]]]:
    """Connected regions of likely cells: their evidence and boxes in image pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((foreground > 0.5).astype(np.uint8))
    found = []
    for index in range(1, count):
        x, y, width, height, cells = (int(value) for value in stats[index])
        if cells < MIN_CELLS:
            continue
        evidence = float(foreground[labels == index].sum() / np.sqrt(cells))
        pixel = STRIDE * scale
        found.append((evidence, (x * pixel - 0.5, y * pixel - 0.5, width * pixel, height * pixel)))
    return found


def _iou(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    return both / (first[2] * first[3] + second[2] * second[3] - both)
