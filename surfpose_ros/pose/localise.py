"""Where in the image objects of a category may be: cells that the network takes for the middle of one."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.network import NetworkOutput

STRIDE = 8
# Longer side of the image in pixels at each scale: objects of a twelfth of it up to all of it are of a size
# that training has seen.
SCALES = (224, 448)
SIDE_LEAST = 4.0  # of a box, pixels of the image
OVERLAP = 0.5  # of two boxes of one object, intersection over union


@dataclass(frozen=True)
class Proposal:
    """Where an object may be.

    Attributes:
        box: x, y, width, height in pixels of the image, (0, 0) its upper left corner.
        chance: that it is one, as the network says it.
    """

    box: tuple[float, float, float, float]
    chance: float


def propose(image: np.ndarray, model: CategoryModel, most: int, least: float = 0.1) -> list[Proposal]:
    """At most `most` places of a chance of `least` and more, the likeliest first."""
    told = []
    for longer in SCALES:
        output, scale = look(image, model, longer)
        told.append(in_pixels(*likeliest(output, most), scale))
    return chosen(torch.cat(told), image.shape[:2], most, least)


def look(image: np.ndarray, model: CategoryModel, longer: int) -> tuple[NetworkOutput, float]:
    """The network's output of the whole image shrunk to a longer side, and image pixels a network pixel."""
    height, width, scale = shrunk_size(image.shape[:2], longer)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    multiple = model.network.backbone.size_multiple
    small = cv2.copyMakeBorder(small, 0, -height % multiple, 0, -width % multiple, cv2.BORDER_CONSTANT)
    return model.look(small[None]), scale


def shrunk_size(size: tuple[int, int], longer: int) -> tuple[int, int, float]:
    """Height and width of an image brought to a longer side, and its own pixels a pixel of that."""
    height, width = size
    scale = max(size) / longer
    return max(1, round(height / scale)), max(1, round(width / scale)), scale


def likeliest(output: NetworkOutput, most: int) -> tuple[Tensor, Tensor]:
    """Of the likeliest middles of one image: boxes (low x, low y, high x, high y) in cells, ``(K, 4)``, and
    chances, ``(K,)``; K is `most`, or less where there are fewer cells.
    """
    chances = output.centres[0].float().sigmoid()
    highest = max_pool2d(chances[None, None], 3, stride=1, padding=1)[0, 0]
    peaks = chances.where(chances == highest, torch.zeros_like(chances)).flatten()
    chance, cell = peaks.topk(min(most, len(peaks)))
    sides = output.sides[0].flatten(1)[:, cell].T.float().exp()
    width = chances.shape[1]
    middle = torch.stack([cell % width, cell // width], dim=1)
    return torch.cat([middle - sides[:, :2], middle + sides[:, 2:]], dim=1), chance


def in_pixels(boxes: Tensor, chances: Tensor, scale: float) -> Tensor:
    """Boxes ``(K, 4)`` in cells of an image shrunk by `scale` in the image's own pixels, and their chances,
    ``(K, 5)``.
    """
    return torch.cat([(boxes + 0.5) * STRIDE * scale, chances[:, None]], dim=1)


def chosen(told: Tensor, size: tuple[int, int], most: int, least: float) -> list[Proposal]:
    """What was told ``(N, 5)``, see `in_pixels`, cut where an image of that height and width ends, each
    object once.
    """
    kept: list[Proposal] = []
    for *corners, chance in sorted(told.tolist(), key=lambda row: -row[4]):
        box = _inside(corners, size)
        # Middles told in the image's padding, or at its very border, leave no box.
        if chance < least or min(box[2:]) < SIDE_LEAST:
            continue
        if all(overlap(box, other.box) < OVERLAP for other in kept):
            kept.append(Proposal(box, chance))
    return kept[:most]


def middles(output: NetworkOutput) -> tuple[Tensor, Tensor]:
    """Of the objects about the middles of crops: boxes (low x, low y, high x, high y) in cells, ``(B, 4)``,
    and chances, ``(B,)``.
    """
    height, width = output.centres.shape[-2:]
    near = torch.zeros(height, width, dtype=torch.bool, device=output.centres.device)
    near[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    chances = (output.centres.float().sigmoid() * near).flatten(1)
    chance, cell = chances.max(dim=1)
    sides = output.sides.flatten(2).gather(2, cell[:, None, None].expand(-1, 4, 1))[..., 0].float().exp()
    row, column = cell // width, cell % width
    low = torch.stack([column, row], dim=1) - sides[:, :2]
    return torch.cat([low, torch.stack([column, row], dim=1) + sides[:, 2:]], dim=1), chance


def overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    return both / (first[2] * first[3] + second[2] * second[3] - both)


def _inside(corners: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Corners (low x, low y, high x, high y) as x, y, width and height, cut where the image ends."""
    low_x, low_y, high_x, high_y = corners
    height, width = size
    left, right = max(low_x, 0.0), min(high_x, float(width))
    top, bottom = max(low_y, 0.0), min(high_y, float(height))
    return left, top, right - left, bottom - top
