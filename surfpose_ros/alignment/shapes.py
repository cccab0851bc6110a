"""Surfaces as the alignment takes them in: stacked, centred, of diameter one, with distance fields.

Surfaces of fewer vertices are padded; a padded vertex weighs nothing and matches nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import trimesh
from torch import Tensor

from surfpose_ros.alignment.fields import surface_fields
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.geometry.similarity import compose_similarity
from surfpose_ros.surface.surface import Surface

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
        normals: ``(N, V, 3)`` outward, unit length; zero for padding.
        fields: ``(4, N, G, G, G)`` distance to the surface and its normal there, see `surface_fields`.
        normalised_from_video: ``(N, 4, 4)`` float64.
        up: ``(N, 3)`` unit vectors that point up; zero where not known.
        up_sigma: ``(N,)`` their standard deviations, radians; one where not known.
        view_features: ``(N, V, K, D)`` and `view_valid` ``(N, V, K)`` where the set distance is asked.
    """

    vertices: Tensor
    weights: Tensor
    features: Tensor
    seen: Tensor
    normals: Tensor
    fields: Tensor
    normalised_from_video: Tensor
    up: Tensor
    up_sigma: Tensor
    view_features: Tensor | None = None
    view_valid: Tensor | None = None

    def __len__(self) -> int:
        return len(self.vertices)

    def __getitem__(self, index: Tensor) -> "Shapes":
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "fields"}
        chosen: dict[str, Any] = {name: part[index] for name, part in parts.items() if part is not None}
        return replace(self, fields=self.fields[:, index], **chosen)

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
    normals = torch.zeros(count, most, 3)
    samples, sample_normals = torch.zeros(2, count, FIELD_POINTS, 3)
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
        normals[index, :size] = torch.from_numpy(surface.mesh.normals)
        solid = surface.mesh.trimesh()
        sampled, faces = trimesh.sample.sample_surface(solid, FIELD_POINTS, seed=settings.seed)
        samples[index] = torch.from_numpy((sampled - centre) / diameter)
        sample_normals[index] = torch.from_numpy(solid.face_normals[faces])
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
        normals.to(device),
        surface_fields(samples.to(device), sample_normals.to(device), settings.field_size),
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
