"""Hypotheses tabulated once a template: which vertices each view shows, and where they fall in the picture.

With the table, scoring a view is one gather of pixel-vertex likelihoods: no rendering.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.template import Template
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views, sphere_directions
from surfpose_ros.geometry.visibility import RayCaster

DISTANCE = 2.5  # of the tabulated camera from the object's centre, in diagonals
SAMPLES = 160  # visible vertices kept a view


@dataclass(frozen=True)
class ViewTable:
    """Views of a template from all sides, at one distance.

    Attributes:
        rotations: ``camera_from_object``, ``(N, 3, 3)``.
        vertices: up to `SAMPLES` visible vertices of each view, ``(N, M)`` int32; V where padded.
        counts: how many of them there are, ``(N,)``.
        points: their image points x/z and y/z from the outline's middle, ``(2, N, M)``.
        middles: of the whole outline's box, ``(N, 2)``.
        extents: its sides, ``(N, 2)``.
    """

    rotations: Tensor
    vertices: Tensor
    counts: Tensor
    points: Tensor
    middles: Tensor
    extents: Tensor

    def to(self, device: torch.device) -> "ViewTable":
        """The same table on another device."""
        return ViewTable(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Visibility:
    """Which vertices are seen from each of many directions.

    Attributes:
        directions: unit, object to camera, ``(N, 3)``.
        visible: ``(N, V)`` bool.
    """

    directions: Tensor
    visible: Tensor

    def to(self, device: torch.device) -> "Visibility":
        """The same table on another device."""
        return Visibility(self.directions.to(device), self.visible.to(device))

    def of(self, centres: Tensor) -> Tensor:
        """Visible vertices, ``(B, V)``, for object-frame camera centres ``(B, 3)``."""
        nearest = (torch.nn.functional.normalize(centres, dim=-1) @ self.directions.T).argmax(dim=-1)
        return self.visible[nearest]


def tabulate_visibility(template: Template, count: int = 800) -> Visibility:
    """Cast rays at the template from `count` directions at `DISTANCE`."""
    caster = RayCaster(template.mesh)
    camera = Camera(np.array([[500.0, 0, 500], [0, 500.0, 500], [0, 0, 1]]), 1000, 1000)
    directions = sphere_directions(count)
    visible = []
    for direction in directions.double():
        azimuth, elevation = torch.atan2(direction[1], direction[0]), torch.asin(direction[2])
        pose = np.eye(4)
        pose[:3, :3] = camera_from_object_views(azimuth, elevation, torch.zeros_like(azimuth)).numpy()
        pose[2, 3] = DISTANCE
        visible.append(caster.visible_vertices(pose, camera))
    return Visibility(directions, torch.from_numpy(np.array(visible)))


def tabulate_views(
    template: Template, visibility: Visibility, rolls_deg: tuple[float, ...], step_deg: float = 12.0
) -> ViewTable:
    """The table over directions about `step_deg` apart, times rolls about upright."""
    directions = sphere_directions(round(4 * np.pi / np.radians(step_deg) ** 2)).double()
    rolls = torch.deg2rad(torch.tensor(rolls_deg, dtype=torch.float64))
    azimuth = torch.atan2(directions[:, 1], directions[:, 0])[:, None].expand(-1, len(rolls))
    elevation = torch.asin(directions[:, 2])[:, None].expand(-1, len(rolls))
    rotations = camera_from_object_views(azimuth, elevation, rolls.expand_as(azimuth)).flatten(0, 1)
    vertices = torch.from_numpy(template.mesh.vertices).double()
    in_camera = vertices @ rotations.transpose(-1, -2)
    points = in_camera[..., :2] / (in_camera[..., 2:] + DISTANCE)
    visible = visibility.of(-rotations[:, 2].float())
    order = torch.argsort(~visible, dim=-1, stable=True)
    chosen, valid = _spread(order, visible.sum(dim=-1))
    lows, highs = points.amin(dim=1), points.amax(dim=1)
    middles = (lows + highs) / 2
    shown = points.gather(1, chosen[..., None].expand(-1, -1, 2)) - middles[:, None]
    return ViewTable(
        rotations.float(),
        chosen.where(valid, len(vertices)).int(),
        valid.sum(dim=-1).clamp_min(1).float(),
        shown.permute(2, 0, 1).float().contiguous(),
        middles.float(),
        (highs - lows).float(),
    )


def _spread(order: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """`SAMPLES` of the first ``counts`` entries of each row, evenly spaced, and which of them there are."""
    width = min(SAMPLES, int(counts.max()))
    step = (counts[:, None] / width).clamp_min(1.0)
    index = (torch.arange(width) * step).long()
    return order.gather(1, index.clamp_max(order.shape[1] - 1)), index < counts[:, None]
