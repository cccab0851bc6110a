import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.visibility import RayCaster

CAMERA = Camera(np.array([[300.0, 0, 79.5], [0, 300.0, 59.5], [0, 0, 1]]), 160, 120)
SPHERE = mesh_from_trimesh(trimesh.creation.icosphere(subdivisions=4))


def looking_from(azimuth, elevation, distance, scale=1.0):
    angles = (torch.tensor(a, dtype=torch.float64) for a in (azimuth, elevation, 0.0))
    transform = np.eye(4)
    transform[:3, :3] = scale * camera_from_object_views(*angles).numpy()
    transform[2, 3] = distance
    return transform


@given(azimuth=st.floats(-3, 3), elevation=st.floats(-1.5, 1.5), scale=st.sampled_from([0.01, 1.0, 100.0]))
def test_of_a_sphere_the_near_cap_is_visible_and_the_rest_hidden(azimuth, elevation, scale):
    distance = 8.0 * scale
    camera_from_mesh = looking_from(azimuth, elevation, distance, scale)
    visible = RayCaster(SPHERE).visible_vertices(camera_from_mesh, CAMERA)
    towards_camera = -camera_from_mesh[2, :3] / scale
    # A point of the unit sphere is seen from distance d where its normal's cosine exceeds 1/d.
    margin = SPHERE.vertices @ towards_camera - scale / distance
    assert visible[margin > 0.05].all()
    assert not visible[margin < -0.05].any()


def test_what_lies_outside_the_image_or_behind_the_camera_is_not_visible():
    caster = RayCaster(SPHERE)
    beside = looking_from(0.0, 0.0, 8.0)
    beside[0, 3] = 10.0
    assert not caster.visible_vertices(beside, CAMERA).any()
    assert not caster.visible_vertices(looking_from(0.0, 0.0, -8.0), CAMERA).any()


def test_a_wall_hides_what_is_behind_it():
    triangle = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    wall = np.array([[-5.0, -5, -1], [5, -5, -1], [0, 9, -1]])
    both = Mesh(np.concatenate([triangle, wall]).astype(np.float32), np.array([[0, 1, 2], [3, 4, 5]]))
    camera_from_mesh = np.eye(4)
    camera_from_mesh[2, 3] = 10.0
    camera = Camera(np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]]), 160, 120)
    assert RayCaster(both).visible_vertices(camera_from_mesh, camera)[:3].tolist() == [False] * 3
    alone = Mesh(both.vertices[:3], both.faces[:1])
    assert RayCaster(alone).visible_vertices(camera_from_mesh, camera).tolist() == [True] * 3


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_surface_map_of_a_sphere_lies_on_it_and_projects_to_its_own_pixels(scale):
    camera_from_mesh = looking_from(0.4, 0.3, 8.0 * scale, scale)
    points, faces = RayCaster(SPHERE).surface_map(camera_from_mesh, CAMERA)
    hit = faces >= 0
    # The silhouette of a unit sphere at distance d is a disc of radius f / sqrt(d^2 - 1) pixels.
    assert hit.sum() == pytest.approx(np.pi * (300 / np.sqrt(63)) ** 2, rel=0.01)
    assert (np.abs(np.linalg.norm(points[hit], axis=1) - 1) < 0.01).all()
    in_camera = points[hit] @ camera_from_mesh[:3, :3].T + camera_from_mesh[:3, 3]
    pixels = in_camera @ CAMERA.matrix.T
    v, u = np.nonzero(hit)
    np.testing.assert_allclose(pixels[:, :2] / pixels[:, 2:], np.stack([u, v], axis=1), atol=1e-2)
    assert (points[~hit] == 0).all()


def test_the_surface_maps_faces_are_those_under_the_points():
    points, faces = RayCaster(SPHERE).surface_map(looking_from(0.0, 0.0, 8.0), CAMERA)
    hit = faces >= 0
    corners = SPHERE.vertices[SPHERE.faces[faces[hit]]].astype(np.float64)
    weights = trimesh.triangles.points_to_barycentric(corners, points[hit])
    assert weights.min() > -1e-2
    assert weights.max() < 1 + 1e-2


def test_an_empty_view_has_no_faces():
    points, faces = RayCaster(SPHERE).surface_map(looking_from(0.0, 0.0, -8.0), CAMERA)
    assert (faces == -1).all()
    assert not points.any()


@pytest.mark.parametrize("distance", [8.0, 1.5, 0.5, -8.0], ids=str)
def test_a_silhouette_is_where_the_surface_map_has_faces(distance):
    camera_from_mesh = looking_from(0.4, 0.3, distance)
    camera_from_mesh[0, 3] = 0.7  # partly out of the picture
    caster = RayCaster(SPHERE)
    shown = caster.silhouette(camera_from_mesh, CAMERA)
    np.testing.assert_array_equal(shown, caster.surface_map(camera_from_mesh, CAMERA)[1] >= 0)


def test_an_object_beside_the_picture_has_no_silhouette():
    beside = looking_from(0.0, 0.0, 8.0)
    beside[0, 3] = 10.0
    assert not RayCaster(SPHERE).silhouette(beside, CAMERA).any()
