import numpy as np
import pytest
import trimesh

from surfpose_ros.category.mean_shape import mean_shape
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

from .eggs import ellipsoid


def airplane(wing_x: float, tail: float = 0.2) -> Mesh:
    """A body with thin wings at a place of their own, and a thin tail."""
    parts = [ellipsoid((1.0, 0.12, 0.12)).trimesh()]
    for side in (-1, 1):
        wing = trimesh.creation.box((0.16, 0.35, 0.02))
        wing.apply_translation((wing_x, side * 0.23, 0))
        parts.append(wing)
    fin = trimesh.creation.box((0.12, 0.02, tail))
    fin.apply_translation((-0.4, 0, tail / 2 + 0.02))
    return mesh_from_trimesh(trimesh.util.concatenate([*parts, fin]))


@pytest.fixture(scope="module")
def mean() -> trimesh.Trimesh:
    return mean_shape(
        [airplane(x, tail) for x, tail in ((-0.1, 0.16), (-0.03, 0.2), (0.04, 0.2), (0.11, 0.24))]
    )


def test_thin_parts_that_never_meet_stay_whole(mean):
    sides = np.ptp(mean.vertices, axis=0) / np.ptp(mean.vertices[:, 0])
    assert np.allclose(sides, [1.0, 0.81, 0.28], atol=0.08)


def test_a_part_is_where_it_is_in_the_mean(mean):
    length = np.ptp(mean.vertices[:, 0])
    middle = (mean.vertices[:, 0].min() + mean.vertices[:, 0].max()) / 2
    tips = mean.vertices[np.abs(mean.vertices[:, 1]) > 0.3 * length]
    assert len(tips)
    assert abs((tips[:, 0].mean() - middle) / length - 0.005) < 0.03


def test_a_thin_part_is_as_thin_as_the_objects_have_it(mean):
    length = np.ptp(mean.vertices[:, 0])
    tips = mean.vertices[np.abs(mean.vertices[:, 1]) > 0.2 * length]
    assert np.ptp(tips[:, 2]) / length < 0.05


def test_it_is_closed_and_its_inside_is_inside(mean):
    assert mean.is_watertight
    assert mean.volume > 0


def test_the_mean_of_one_shape_is_that_shape():
    egg = ellipsoid((1.0, 0.5, 0.4))
    mean = mean_shape([egg, egg, egg])
    sides = np.ptp(mean.vertices, axis=0)
    assert np.allclose(sides / np.linalg.norm(sides), np.array([1.0, 0.5, 0.4]) / np.sqrt(1.41), atol=0.015)
