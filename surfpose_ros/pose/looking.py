"""Crops of one image through the network together: features of each, and where the object in it ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.augment import CROP_MARGIN
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.views import box_crop
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.localise import STRIDE, middles, overlap

SETTLED = 0.8  # overlap of a box with what its crop tells, above which it needs no second look

Box = tuple[float, float, float, float]  # x, y, width, height in pixels, (0, 0) the upper left corner


@dataclass(frozen=True)
class CropView:
    """One crop as the network sees it.

    Attributes:
        features: unit, ``(D, h, w)``.
        mirrored: of the mirrored crop; None where the category has no mirror plane, or it was not asked.
        outline: of the object in cells (low x, low y, high x, high y), ``(4,)``.
        box: the same in the image.
        chance: that the crop's middle is an object's, as the network says it.
        camera: of the crop's pixels.
    """

    features: Tensor
    mirrored: Tensor | None
    outline: Tensor
    box: Box
    chance: float
    camera: Camera


def look_at(
    image: np.ndarray,
    boxes: Sequence[Box],
    exact: bool,
    camera: Camera,
    model: CategoryModel,
    mirror: bool = True,
) -> list[CropView]:
    """A view about each box.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        boxes: of the objects.
        exact: False lets the network correct the boxes; crops of boxes that it corrects much are taken
            anew about what it told.
        camera: of the image.
        model: whose network looks.
        mirror: look at mirrored crops too, where the category has a mirror plane.
    """
    mirror = mirror and model.info.mirror is not None
    views = _crops(image, boxes, camera, model, mirror)
    if exact:
        size = model.info.input_size
        return [
            replace(view, outline=box_in_cells(box, size), box=box)
            for view, box in zip(views, boxes, strict=True)
        ]
    unsettled = [i for i, box in enumerate(boxes) if overlap(views[i].box, box) < SETTLED]
    again = _crops(image, [views[i].box for i in unsettled], camera, model, mirror)
    for i, view in zip(unsettled, again, strict=True):
        views[i] = view
    return views


def _crops(
    image: np.ndarray, boxes: Sequence[Box], camera: Camera, model: CategoryModel, mirror: bool
) -> list[CropView]:
    """Views about boxes, all in one pass, with the outlines that the network tells."""
    if not boxes:
        return []
    size = model.info.input_size
    crops, cameras = zip(*(box_crop(image, box, camera, size, CROP_MARGIN) for box in boxes), strict=True)
    pictures = np.stack(crops)
    output = model.look(np.concatenate([pictures, pictures[:, :, ::-1]]) if mirror else pictures)
    outlines, chances = (told.cpu() for told in middles(output))
    views = []
    for index, crop_camera in enumerate(cameras):
        mirrored = output.features[len(crops) + index] if mirror else None
        outline, chance = outlines[index], float(chances[index])
        box = box_in_image(outline, crop_camera, camera)
        views.append(CropView(output.features[index], mirrored, outline, box, chance, crop_camera))
    return views


def box_in_cells(box: Box, size: int) -> Tensor:
    """Where a box lies in its own crop: (low x, low y, high x, high y) in cells, centres at integers."""
    return boxes_in_cells(torch.tensor([box]), size / STRIDE)[0]


def boxes_in_cells(boxes: Tensor, cells: float) -> Tensor:
    """`box_in_cells` of many, ``(B, 4)``, in crops of so many cells a side."""
    half = boxes[:, 2:] / boxes[:, 2:].amax(dim=1, keepdim=True) * cells / CROP_MARGIN / 2
    return torch.cat([cells / 2 - 0.5 - half, cells / 2 - 0.5 + half], dim=1)


def box_in_image(cells: Tensor, crop: Camera, image: Camera) -> Box:
    """The box in the image of one in cells (low x, low y, high x, high y) of its crop."""
    scale = crop.matrix[0, 0] / image.matrix[0, 0]
    origin = image.matrix[:2, 2] + 0.5 - (crop.matrix[:2, 2] + 0.5) / scale
    low, high = (cells.numpy().reshape(2, 2) + 0.5) * STRIDE / scale + origin
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
