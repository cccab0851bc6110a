from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from torch.nn.functional import normalize

from surfpose_ros.category.mirror import find_mirror, mirrored_vertices, shape_mirrors
from surfpose_ros.category.network import NetworkOutput
from surfpose_ros.category.train import train_category

from .eggs import TINY


def points_on(mesh: trimesh.Trimesh) -> torch.Tensor:
    """Some 600 points, the middle of their box at the origin, a diagonal of about one."""
    points, _ = trimesh.sample.sample_surface_even(mesh, 600, seed=0)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    return torch.from_numpy(points / np.linalg.norm(np.ptp(points, axis=0))).float()


def test_a_brick_is_its_own_mirror_image_in_three_planes():
    found = torch.stack(shape_mirrors(points_on(trimesh.creation.box((1.0, 0.6, 0.3)))))
    axes = (found @ torch.eye(3)).abs()
    assert len(found) == 3 and axes.amax(dim=0) == pytest.approx([1, 1, 1], abs=0.01)


def test_a_spiral_is_in_none():
    turns = np.linspace(0, 4 * np.pi, 400)
    spiral = np.stack([np.cos(turns), np.sin(turns), turns / 4], axis=-1) * np.array([1.0, 0.6, 1.0])
    assert not shape_mirrors(torch.from_numpy(spiral / np.linalg.norm(np.ptp(spiral, axis=0))).float())


def test_mirrored_twice_a_vertex_is_itself_again():
    points = points_on(trimesh.creation.icosphere(subdivisions=3))
    vertices = torch.cat([points, points * torch.tensor([1.0, -1.0, 1.0])])
    partner = mirrored_vertices(vertices, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(partner[partner], torch.arange(len(vertices)))


class ColourNetwork(torch.nn.Module):
    """Knows nothing but the colour of each cell, which in these pictures is the place on the object."""

    def __init__(self, sides_alike: bool) -> None:
        super().__init__()
        self.sides_alike = sides_alike
        self.waves = 12 * torch.randn(3, 64, generator=torch.Generator().manual_seed(0))

    def of(self, colours: torch.Tensor) -> torch.Tensor:
        """Unit features ``(..., 64)`` of colours ``(..., 3)`` in [0, 1]."""
        places = colours - 0.5
        if self.sides_alike:
            places = torch.stack([places[..., 0], places[..., 1].abs(), places[..., 2]], dim=-1)
        return normalize((places @ self.waves).cos(), dim=-1)

    def forward(self, images: torch.Tensor) -> NetworkOutput:
        colours = images[..., 4::8, 4::8].permute(0, 2, 3, 1)
        nothing = torch.zeros(len(images), 5, *colours.shape[1:3])
        return NetworkOutput(self.of(colours).permute(0, 3, 1, 2), nothing[:, 0], nothing[:, 1:])


@pytest.mark.parametrize("sides_alike", [True, False])
def test_a_mirror_plane_counts_only_where_mirrored_pictures_look_like_mirrored_objects(eggs, sides_alike):
    videos, surfaces, alignment = eggs
    settings = replace(TINY, vertices=300)
    model, views = train_category(videos, surfaces, alignment, settings, torch.device("cpu"))
    vertices = torch.from_numpy(model.template.mesh.vertices)
    network = ColourNetwork(sides_alike)
    colours = vertices / torch.from_numpy(model.template.extent).float() + 0.5
    looks = replace(model, network=network, vertex_features=network.of(colours))
    found = find_mirror(looks, views)
    assert (found is not None) == sides_alike
    if found:
        assert abs(found[1]) > 0.95
