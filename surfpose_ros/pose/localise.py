"""Where in the image objects of a category may be: cells that the network takes for the middle of one."""

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
    found: list[Proposal] = []
    for longer in SCALES:
        output, scale = look(image, model, longer)
        found += proposals(output, scale, image, most, least)
    found.sort(key=lambda proposal: -proposal.chance)
    kept: list[Proposal] = []
    for proposal in found:
        if all(overlap(proposal.box, other.box) < OVERLAP for other in kept):
            kept.append(proposal)
    return kept[:most]


def proposals(
    output: NetworkOutput, scale: float, image: np.ndarray, most: int, least: float
) -> list[Proposal]:
    """What the network's output of an image, shrunk by `scale`, tells of objects in it."""
    told = [
        Proposal(_in_image(box, STRIDE * scale, image), chance)
        for box, chance in peaks(output, most, least)
    ]
    # Middles told in the image's padding, or at its very border, leave no box.
    return [proposal for proposal in told if min(proposal.box[2:]) >= SIDE_LEAST]


def look(image: np.ndarray, model: CategoryModel, longer: int) -> tuple[NetworkOutput, float]:
    """The network's output of the whole image shrunk to a longer side, and image pixels a network pixel."""
    scale = max(image.shape[:2]) / longer
    height, width = (max(1, round(side / scale)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    multiple = model.network.backbone.size_multiple
    small = cv2.copyMakeBorder(small, 0, -height % multiple, 0, -width % multiple, cv2.BORDER_CONSTANT)
    return model.look(small[None]), scale


def peaks(output: NetworkOutput, most: int, least: float) -> list[tuple[Tensor, float]]:
    """Boxes (low x, low y, high x, high y) in cells and chances of the likeliest middles of one image."""
    chances = output.centres[0].float().sigmoid()
    highest = max_pool2d(chances[None, None], 3, stride=1, padding=1)[0, 0]
    values, index = torch.where(chances == highest, chances, 0).flatten().topk(min(most, chances.numel()))
    return [
        (box_at(output, int(cell)), float(chance))
        for chance, cell in zip(values, index, strict=True)
        if chance >= least
    ]


def box_at(output: NetworkOutput, cell: int) -> Tensor:
    """The box ``(4,)`` (low x, low y, high x, high y) that a cell of the first image tells."""
    row, column = divmod(cell, output.centres.shape[-1])
    left, top, right, bottom = output.sides[0, :, row, column].float().exp().cpu().tolist()
    return torch.tensor([column - left, row - top, column + right, row + bottom])


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


def _in_image(box: Tensor, pixels_a_cell: float, image: np.ndarray) -> tuple[float, float, float, float]:
    """A box in cells as x, y, width, height in pixels, cut where the image ends."""
    low_x, low_y, high_x, high_y = ((box + 0.5) * pixels_a_cell).tolist()
    height, width = image.shape[:2]
    left, right = max(low_x, 0.0), min(high_x, float(width))
    top, bottom = max(low_y, 0.0), min(high_y, float(height))
    return left, top, right - left, bottom - top
