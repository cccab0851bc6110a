"""The reference way: render vertex features from many sides, compare, and descend from the best.

In the manner of the paper (section 3.4): 144 starting rotations; a start's score is the mean over the crop
of the better of two cosines, of the pixel with the feature of the surface rendered there, and of the pixel
with clutter; 30 steps of Adam on the best start. As the paper takes the position from the ground truth, and
boxes are given here, each start stands where its outline fills the box.
"""

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.evaluation.ways.way import see
from surfpose_ros.geometry.cameras import Camera, project_points
from surfpose_ros.geometry.rotations import camera_from_object_views, rotation_from_rotvec
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.hypotheses import DISTANCE
from surfpose_ros.pose.looking import Box
from surfpose_ros.pose.placing import place_in_boxes

AZIMUTHS = 12
ELEVATIONS_DEG = (-30.0, 0.0, 30.0, 60.0)
ROLLS_DEG = (-30.0, 0.0, 30.0)
STEPS = 30
RATE = 0.02  # of Adam: radians and object diagonals

Pose = tuple[Tensor, Tensor]  # camera_from_object: rotation (3, 3), translation (3,) in diagonals


class RenderAndCompare:
    """A `Way`.

    Attributes:
        rendering: seconds that ray casting took of each image, on the CPU whatever the device.
    """

    def __init__(self, model: CategoryModel) -> None:
        self.model = model
        self.rendering: list[float] = []
        self._caster = RayCaster(model.template.mesh)
        self._vertices = torch.from_numpy(model.template.mesh.vertices).to(model.device)
        self._faces = torch.from_numpy(model.template.mesh.faces.astype(np.int64)).to(model.device)
        self._starts = starting_rotations().to(model.device)
        seen = self._vertices @ self._starts.transpose(-1, -2)
        points = seen[..., :2] / (seen[..., 2:] + DISTANCE)
        lows, highs = points.amin(dim=1), points.amax(dim=1)
        self._middles, self._extents = (lows + highs) / 2, highs - lows

    def __call__(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor:
        """The best start, moved uphill."""
        view, intrinsics = see(self.model, image, camera, box)
        # A copy, for the network's own output takes no part in gradients.
        return self.search(view.features.clone(), intrinsics, view.outline)[0]

    def search(self, features: Tensor, intrinsics: Tensor, outline: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation ``(3, 3)`` and translation ``(3,)``, in diagonals, in a crop.

        Args:
            features: unit, ``(D, h, w)``.
            intrinsics: of the crop's cells, ``(3, 3)``.
            outline: box of the object in cells, ``(4,)``.
        """
        boxes = outline.to(features).expand(len(self._starts), 4)
        starts = place_in_boxes(self._starts, self._middles, self._extents, boxes, intrinsics)
        self.rendering.append(0.0)
        placed = list(zip(starts.rotation, starts.translation, strict=True))
        best = int(self.scores(features, intrinsics, placed).argmax())
        return self.climb(features, intrinsics, *placed[best])

    def scores(self, features: Tensor, intrinsics: Tensor, poses: Sequence[Pose]) -> Tensor:
        """Of each pose the mean over the cells of the better of two cosines, ``(K,)``.

        One is that with the feature rendered in the cell: the mean of its face's corners, by barycentric
        weights. A cosine with a mean is the mean of cosines, so cells meet vertices once, not once a pose.
        """
        weights, corners, hit = self._render(features.shape[-2:], intrinsics, poses)
        cells = features.flatten(1).T
        cosines = cells @ self.model.vertex_features.T
        surface = (weights * cosines.expand(len(poses), -1, -1).gather(2, corners)).sum(dim=-1)
        clutter = self._clutter(cells)
        return torch.where(hit, torch.maximum(surface, clutter), clutter).mean(dim=-1)

    def climb(
        self, features: Tensor, intrinsics: Tensor, rotation: Tensor, translation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`STEPS` of Adam on the score, sampled at the visible vertices' projections.

        Where no surface is, the score is clutter's whatever the pose: only what vertices gain over clutter
        can grow.
        """
        turn = torch.zeros(3, device=features.device, requires_grad=True)
        shift = torch.zeros(3, device=features.device, requires_grad=True)
        optimiser = torch.optim.Adam([turn, shift], lr=RATE)
        for _ in range(STEPS):
            turned, moved = rotation_from_rotvec(turn) @ rotation, translation + shift
            visible = self._visible(features.shape[-2:], intrinsics, turned, moved)
            if not visible.any():
                break
            cells = project_points(intrinsics, self._vertices[visible] @ turned.T + moved)
            sampled = _sample(features, cells)
            cosine = (sampled * self.model.vertex_features[visible]).sum(dim=-1)
            gain = (cosine - self._clutter(sampled)).clamp_min(0).mean()
            optimiser.zero_grad()
            (-gain).backward()
            optimiser.step()
        with torch.no_grad():
            return rotation_from_rotvec(turn) @ rotation, translation + shift

    def _clutter(self, cells: Tensor) -> Tensor:
        """Cosine of each cell ``(N, D)`` with the nearest clutter feature, ``(N,)``."""
        return (cells @ self.model.clutter_features.T).amax(dim=-1)

    def _render(
        self, shape: torch.Size, intrinsics: Tensor, poses: Sequence[Pose]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For each pose and cell: weights and vertices of its face's corners, ``(K, h w, 3)``, and whether
        there is a face, ``(K, h w)``.
        """
        start = time.perf_counter()
        maps = [self._caster.surface_map(*_pose_and_camera(shape, intrinsics, *pose)) for pose in poses]
        self.rendering[-1] += time.perf_counter() - start
        points, faces = (torch.from_numpy(np.stack(parts)) for parts in zip(*maps, strict=True))
        face = faces.to(self._faces).flatten(1)
        corners = self._faces[face]  # where there is no face, of any
        on_surface = points.to(self._vertices).flatten(1, 2)
        return barycentric(on_surface, self._vertices[corners]), corners, face >= 0

    def _visible(
        self, shape: torch.Size, intrinsics: Tensor, rotation: Tensor, translation: Tensor
    ) -> Tensor:
        """Which vertices are seen, ``(V,)`` bool."""
        start = time.perf_counter()
        with torch.no_grad():
            seen = self._caster.visible_vertices(
                *_pose_and_camera(shape, intrinsics, rotation, translation)
            )
        self.rendering[-1] += time.perf_counter() - start
        return torch.from_numpy(seen).to(self._vertices.device)


def starting_rotations() -> Tensor:
    """Rotations camera_from_object, ``(144, 3, 3)``."""
    azimuths = 2 * math.pi / AZIMUTHS * torch.arange(AZIMUTHS)
    elevations, rolls = (torch.tensor(angles).deg2rad() for angles in (ELEVATIONS_DEG, ROLLS_DEG))
    grid = torch.meshgrid(azimuths, elevations, rolls, indexing="ij")
    return camera_from_object_views(*(angles.flatten() for angles in grid))


def barycentric(points: Tensor, corners: Tensor) -> Tensor:
    """Weights ``(..., 3)`` of the corners ``(..., 3, 3)`` of triangles for points ``(..., 3)`` in them."""
    first, second = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    normal = torch.linalg.cross(first, second)
    offset = points - corners[..., 0, :]
    area = normal.square().sum(dim=-1, keepdim=True).clamp_min(1e-20)
    v = (torch.linalg.cross(offset, second) * normal).sum(dim=-1, keepdim=True) / area
    w = (torch.linalg.cross(first, offset) * normal).sum(dim=-1, keepdim=True) / area
    return torch.cat([1 - v - w, v, w], dim=-1)


def _sample(features: Tensor, cells: Tensor) -> Tensor:
    """Features ``(N, D)`` at cells x and y, ``(N, 2)``, bilinear."""
    size = torch.tensor([features.shape[-1], features.shape[-2]], device=features.device)
    grid = (2 * cells + 1) / size - 1
    return grid_sample(features[None], grid[None, None], align_corners=False)[0, :, 0].T


def _pose_and_camera(
    shape: torch.Size, intrinsics: Tensor, rotation: Tensor, translation: Tensor
) -> tuple[np.ndarray, Camera]:
    """As the ray caster takes them."""
    pose = np.eye(4)
    pose[:3, :3] = rotation.detach().double().cpu().numpy()
    pose[:3, 3] = translation.detach().double().cpu().numpy()
    height, width = shape
    return pose, Camera(intrinsics.double().cpu().numpy(), width, height)
