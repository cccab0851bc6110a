import numpy as np
import pytest
import trimesh

from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.template import Labeller, mean_template
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

from .eggs import ellipsoid


def test_the_mean_of_two_ellipsoids_is_an_ellipsoid_of_mean_proportions():
    template = mean_template([ellipsoid((1.0, 0.4, 0.4)), ellipsoid((1.0, 0.6, 0.4))], vertices=300)
    expected = np.array([1.0, np.sqrt(0.24), 0.4])
    ratio = template.extent / template.extent[0]
    assert np.allclose(ratio, expected, atol=0.05)
    assert np.isclose(np.linalg.norm(template.extent), 1.0, atol=0.02)
    radius = np.linalg.norm(template.mesh.vertices / (template.extent / 2), axis=1)
    assert np.abs(radius - 1).max() < 0.12
    assert template.mesh.trimesh().is_watertight
    assert template.mesh.trimesh().volume > 0
    assert 200 < len(template.mesh.vertices) < 400


def test_proportions_that_vary_more_have_the_larger_spread():
    template = mean_template([ellipsoid((1.0, 0.4, 0.4)), ellipsoid((1.0, 0.7, 0.4))], vertices=100)
    assert template.extent_log_std[1] > 2 * template.extent_log_std[2]


def test_points_are_the_vertex_at_the_same_place_of_the_stretched_object():
    template = mean_template([ellipsoid((1.0, 0.5, 0.4))] * 2, vertices=200)
    larger = ellipsoid((3.0, 0.9, 1.1))
    shifted = Mesh(larger.vertices + np.float32([5, 6, 7]), larger.faces)
    labeller = Labeller(template)
    nearest = labeller(labeller.fit(shifted)(shifted.vertices))
    assert (nearest != CLUTTER).all()
    reached = template.mesh.vertices[nearest] / template.extent
    assert np.abs(reached - larger.vertices / np.ptp(larger.vertices, axis=0)).max() < 0.2


def test_a_part_that_other_objects_lack_neither_moves_the_rest_nor_gets_vertices():
    body = ellipsoid((1.0, 0.5, 0.4))
    template = mean_template([body] * 3, vertices=200)
    tail = trimesh.creation.box((0.04, 0.04, 0.5))
    tail.apply_translation((-0.4, 0, 0.3))
    tailed = mesh_from_trimesh(trimesh.util.concatenate([body.trimesh(), tail]))
    labeller = Labeller(template)
    fits = [labeller.fit(mesh) for mesh in (body, tailed)]
    assert np.allclose(fits[0].scale, fits[1].scale, rtol=0.03)
    assert np.allclose(fits[0].shift, fits[1].shift, atol=0.01)
    assert labeller(fits[1](np.array([[-0.4, 0, 0.5]])))[0] == CLUTTER


def test_meshes_that_share_no_volume_are_refused():
    flat = Mesh(np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]))
    with pytest.raises(SurfposeError, match="share no volume"):
        mean_template([flat, flat])
