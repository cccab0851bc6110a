import pytest
import trimesh

from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh


@pytest.fixture(scope="session")
def ellipsoid() -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.apply_scale([0.45, 0.25, 0.2])
    return mesh_from_trimesh(ball)


@pytest.fixture(scope="session")
def table() -> Mesh:
    """A slab on four thin legs: what a hard intersection of silhouettes loses."""
    slab = trimesh.creation.box([0.8, 0.5, 0.12])
    slab.apply_translation([0, 0, 0.2])
    parts = [slab]
    for x in (-0.33, 0.33):
        for y in (-0.18, 0.18):
            leg = trimesh.creation.box([0.07, 0.07, 0.4])
            leg.apply_translation([x, y, -0.05])
            parts.append(leg)
    return mesh_from_trimesh(trimesh.util.concatenate(parts))
