"""Where things of a crop are: the cells that show the object, their camera, and views placed in boxes."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from surfpose_ros.geometry.rotations import toward
from surfpose_ros.pose.hypotheses import DISTANCE
from surfpose_ros.pose.refine import Hypotheses


def explaining_cells(log_probability: Tensor) -> Tensor:
    """Cells that show an object rather than clutter, at least six, ``(B, h, w)`` bool."""
    foreground = 1 - log_probability[:, -1].exp()
    least = foreground.flatten(1).topk(6, dim=1).values[:, -1, None, None]
    return (foreground > 0.1) | (foreground >= least)


def cell_positions(features: Tensor) -> Tensor:
    """x and y of all cells of maps ``(..., h, w)``, row by row, ``(h * w, 2)``."""
    height, width = features.shape[-2:]
    rows = torch.arange(height, device=features.device).repeat_interleave(width)
    columns = torch.arange(width, device=features.device).repeat(height)
    return torch.stack([columns, rows], dim=-1).float()


def crop_camera(intrinsics: Tensor | None, features: Tensor) -> Tensor:
    """The intrinsics in cells, ``(3, 3)``, of a crop's features ``(D, h, w)``; a long lens if unknown."""
    if intrinsics is not None:
        return intrinsics.float().to(features.device)
    height, width = features.shape[-2:]
    focal = 0.83 * width * DISTANCE / 0.9  # a diagonal at `DISTANCE` about fills the object's box
    camera = torch.eye(3, device=features.device)
    values = {(0, 0): focal, (1, 1): focal, (0, 2): (width - 1) / 2, (1, 2): (height - 1) / 2}
    for place, value in values.items():
        camera[place].fill_(value)  # a value assigned would be copied, which a recording GPU refuses
    return camera


def place_in_boxes(
    rotations: Tensor, middles: Tensor, extents: Tensor, boxes: Tensor, cameras: Tensor
) -> Hypotheses:
    """Views of the template moved to where their outlines fill boxes.

    Args:
        rotations: camera_from_object, seen straight ahead, ``(K, 3, 3)``.
        middles: of the outlines' boxes at `DISTANCE`, as x/z and y/z, ``(K, 2)``.
        extents: their sides, ``(K, 2)``.
        boxes: (low x, low y, high x, high y) in cells, ``(K, 4)``.
        cameras: their intrinsics in cells, ``(K, 3, 3)`` or one for all, ``(3, 3)``.
    """
    scale = ((boxes[:, 2:] - boxes[:, :2]) / extents).prod(dim=-1).sqrt()  # cells a unit of x/z
    focals = cameras.diagonal(dim1=-2, dim2=-1)[..., :2]
    depth = DISTANCE * focals.prod(dim=-1).sqrt() / scale
    cells = (boxes[:, 2:] + boxes[:, :2]) / 2 - middles * scale[:, None]
    rays = torch.cat([(cells - cameras[..., :2, 2]) / focals, torch.ones_like(cells[:, :1])], dim=-1)
    zero = torch.zeros_like(rays)
    translation = normalize(rays, dim=-1) * depth[:, None]
    return Hypotheses(toward(rays) @ rotations, translation, zero, zero[:, 0].clone())
