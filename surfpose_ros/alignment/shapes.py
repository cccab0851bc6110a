"""Surfaces as the alignment takes them in: stacked, centred, of diameter one, with distance fields.

Surfaces of fewer vertices are padded; a padded vertex weighs nothing and matches nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree
from torch import Tensor

from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.geometry.similarity import compose_similarity
from surfpose_ros.surface.surface import Surface

FIELD_HALF_WIDTH = 0.65  # of a distance field, in diameters; the surface reaches hardly beyond 0.6
MIN_UP_SIGMA_DEG = 0.5
FIELD_POINTS = 4000  # sampled on each mesh to build its field


@dataclass(frozen=True)
class Shapes:
    """N surfaces, each in its own normalised frame (centroid at the origin, diameter one).

    Attributes:
        vertices: ``(N, V, 3)`` float32.
        weights: ``(N, V)``: share of the surface's area at each vertex, sums to one; zero for padding.
        features: ``(N, V, D)`` mean view feature of each vertex, unit length; zero where never seen.
        seen: ``(N, V)`` bool: the vertex has a feature.
        fields: ``(N, G, G, G)`` distance to the surface over the cube of `FIELD_HALF_WIDTH`, z first.
        normalised_from_video: ``(N, 4, 4)`` float64.
        up: ``(N, 3)`` unit vectors that point up; zero where not known.
        up_sigma: ``(N,)`` their standard deviations, radians; one where not known.
        view_features: ``(N, V, K, D)`` and `view_valid` ``(N, V, K)`` where the set distance is asked.
    """

    vertices: Tensor
    weights: Tensor
    features: Tensor
    seen: Tensor
    fields: Tensor
    normalised_from_video: Tensor
    up: Tensor
    up_sigma: Tensor
    view_features: Tensor | None = None
    view_valid: Tensor | None = None

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, index: Tensor) -> "Shapes":
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        chosen: dict[str, Any] = {name: part[index] for name, part in parts.items() if part is not None}
        return replace(self, **chosen)

    @property
    def up_known(self) -> Tensor:
        """``(N,)`` bool."""
        return self.up.norm(dim=-1) > 0


def prepare_shapes(
    surfaces: Sequence[Surface], settings: AlignmentSettings, device: torch.device | str = "cpu"
) -> Shapes:
    """Stack surfaces for the alignment; see `Shapes`."""
    count, most = len(surfaces), max(len(s.mesh.vertices) for s in surfaces)
    vertices = torch.zeros(count, most, 3)
    weights = torch.zeros(count, most)
    features = torch.zeros(count, most, surfaces[0].features.shape[-1])
    normalised_from_video = torch.zeros(count, 4, 4, dtype=torch.float64)
    samples = torch.zeros(count, FIELD_POINTS, 3)
    up, up_sigma = torch.zeros(count, 3), torch.ones(count)
    for index, surface in enumerate(surfaces):
        size = len(surface.mesh.vertices)
        area = vertex_areas(surface)
        points = surface.mesh.vertices.astype(np.float64)
        centre = (area[:, None] * points).sum(axis=0)
        diameter = _diameter(points)
        vertices[index, :size] = torch.from_numpy((points - centre) / diameter)
        weights[index, :size] = torch.from_numpy(area)
        features[index, :size] = torch.from_numpy(surface.mean_features)
        sampled, _ = trimesh.sample.sample_surface(surface.mesh.trimesh(), FIELD_POINTS, seed=settings.seed)
        samples[index] = torch.from_numpy((sampled - centre) / diameter)
        normalised_from_video[index] = compose_similarity(
            torch.eye(3, dtype=torch.float64), torch.from_numpy(-centre / diameter), 1 / diameter
        )
        if surface.up is not None:
            up[index] = torch.from_numpy(surface.up / np.linalg.norm(surface.up))
            up_sigma[index] = np.deg2rad(max(surface.up_sigma_deg or 0.0, MIN_UP_SIGMA_DEG))
    sets = _view_sets(surfaces, most) if settings.features == "set" else (None, None)
    return Shapes(
        vertices.to(device),
        weights.to(device),
        features.to(device),
        (features.norm(dim=-1) > 0).to(device),
        distance_fields(samples.to(device), settings.field_size),
        normalised_from_video.to(device),
        up.to(device),
        up_sigma.to(device),
        *(None if part is None else part.to(device) for part in sets),
    )


def vertex_areas(surface: Surface) -> np.ndarray:
    """Share of the mesh's area at each vertex (a third of each of its faces), ``(V,)``, sums to one."""
    mesh = surface.mesh
    areas = np.zeros(len(mesh.vertices))
    np.add.at(areas, mesh.faces, (mesh.trimesh().area_faces / 3)[:, None])
    return areas / areas.sum()


def _diameter(points: np.ndarray) -> float:
    tensor = torch.from_numpy(points)
    return float(torch.cdist(tensor, tensor).max())


def _view_sets(surfaces: Sequence[Surface], most: int) -> tuple[Tensor, Tensor]:
    views = max(s.features.shape[1] for s in surfaces)
    features = torch.zeros(len(surfaces), most, views, surfaces[0].features.shape[-1], dtype=torch.float16)
    valid = torch.zeros(len(surfaces), most, views, dtype=torch.bool)
    for index, surface in enumerate(surfaces):
        size, held = surface.feature_valid.shape
        features[index, :size, :held] = torch.from_numpy(surface.features)
        valid[index, :size, :held] = torch.from_numpy(surface.feature_valid)
    return features, valid


def distance_fields(points: Tensor, size: int) -> Tensor:
    """Distance to the nearest of ``(N, M, 3)`` points at ``size``^3 grid nodes, ``(N, G, G, G)``."""
    axis = torch.linspace(-FIELD_HALF_WIDTH, FIELD_HALF_WIDTH, size, device=points.device)
    nodes = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")[::-1], dim=-1).reshape(-1, 3)
    nearest = _nearest_by_tree if points.device.type == "cpu" else _nearest_by_force
    return torch.stack([nearest(nodes, cloud) for cloud in points]).unflatten(1, (size, size, size))


def _nearest_by_tree(nodes: Tensor, cloud: Tensor) -> Tensor:
    return torch.from_numpy(cKDTree(cloud.numpy()).query(nodes.numpy(), workers=-1)[0]).float()


def _nearest_by_force(nodes: Tensor, cloud: Tensor) -> Tensor:
    return torch.cat([torch.cdist(part, cloud).amin(dim=1) for part in nodes.split(1 << 16)])


def field_distance(fields: Tensor, index: Tensor, points: Tensor) -> Tensor:
    """Distance from points to surfaces, interpolated in their fields.

    Beyond a field's cube, the way to the cube is added, so that the value keeps growing.

    Args:
        fields: ``(N, G, G, G)``.
        index: which surface, ``(P,)``.
        points: ``(P, ..., 3)``.

    Returns:
        ``(P, ...)``; differentiable with respect to the points.
    """
    count, size = fields.shape[:2]
    flat = points.flatten(1, -2)
    inside = flat.clamp(-FIELD_HALF_WIDTH, FIELD_HALF_WIDTH)
    unit = inside / FIELD_HALF_WIDTH
    # All fields are one tall volume, N G slices high: choosing one by z copies nothing.
    slice_ = index[:, None] * size + (unit[..., 2] + 1) / 2 * (size - 1)
    grid = torch.stack([unit[..., 0], unit[..., 1], 2 * slice_ / (count * size - 1) - 1], dim=-1)
    volume = fields.flatten(0, 1)[None, None].expand(len(index), -1, -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(
        volume, grid[:, None, None], align_corners=True, padding_mode="border"
    )
    beyond = (flat - inside).square().sum(dim=-1).add(1e-12).sqrt()
    return (sampled[:, 0, 0, 0] + beyond).unflatten(1, points.shape[1:-1])
