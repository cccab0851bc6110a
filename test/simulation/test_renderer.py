import numpy as np
import pytest

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.renderer import Renderer, decode_srgb, encode_srgb, random_light
from surfpose_ros.simulation.shapes import box, ellipsoid

CAMERA = Camera(np.array([[300, 0, 79.5], [0, 300, 59.5], [0, 0, 1.0]]), 160, 120)
WHITE = np.full((2, 2, 3), 255, np.uint8)


def ahead(metres):
    pose = np.eye(4)
    pose[2, 3] = metres
    return pose


def light():
    return random_light(np.random.default_rng(0), variation=0.0)


def test_depth_and_coverage_of_a_ball_are_those_of_geometry():
    ball = ellipsoid(np.array([0.2, 0.2, 0.2]), WHITE)
    seen = Renderer([ball]).render(ahead(1.0), CAMERA, light(), supersample=1)
    v, u = np.mgrid[:120, :160]
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(CAMERA.matrix).T
    along = rays[..., 2] / (rays**2).sum(axis=-1)  # of the point nearest to the ball's centre
    gap = np.linalg.norm(rays * along[..., None] - [0, 0, 1], axis=-1)
    inside = gap < 0.0985
    assert (seen.mesh[inside] == 0).all()
    assert (seen.mesh[gap > 0.1005] == -1).all()
    expected = along - np.sqrt(np.maximum(0.01 - gap**2, 0)) / np.linalg.norm(rays, axis=-1)
    assert np.abs(seen.depth - expected)[inside].max() < 2e-3


def test_the_silhouette_of_a_mug_is_that_of_its_bare_mesh():
    mug = make_object("mug", 2)
    pose = ahead(0.4)
    pose[:3, :3] = [[0, 1, 0], [0, 0, -1], [-1, 0, 0]]
    seen = Renderer([mug.mesh]).render(pose, CAMERA, light(), supersample=1).mesh == 0
    other = RayCaster(mug.mesh.mesh()).surface_map(pose, CAMERA)[1] >= 0
    assert (seen == other).mean() > 0.999


def test_the_nearer_of_two_meshes_hides_the_other_and_is_named():
    near, far = box(np.full(3, 0.1), WHITE), box(np.full(3, 0.4), WHITE)
    seen = Renderer([far, near.transformed(ahead(-0.5))]).render(ahead(1.0), CAMERA, light())
    assert seen.mesh[60, 80] == 1
    assert seen.depth[60, 80] == pytest.approx(0.45, abs=1e-3)
    assert seen.mesh[60, 130] == 0


def test_edges_are_blended_with_the_background():
    ball = ellipsoid(np.array([0.2, 0.2, 0.2]), np.zeros((2, 2, 3), np.uint8))
    background = np.ones((120, 160, 3), np.float32)
    seen = Renderer([ball]).render(ahead(1.0), CAMERA, light(), background, supersample=4).colour[..., 0]
    assert seen[0, 0] == 1
    assert seen[60, 80] < 0.1
    assert ((seen > 0.3) & (seen < 0.7)).sum() > 20


def test_a_thing_between_the_lamp_and_a_point_throws_a_shadow_on_it():
    roof = box(np.array([1.0, 1.0, 0.1]), WHITE)
    points = np.array([[0, 0, -1.0], [3, 0, -1.0], [0, 0, 1.0]], np.float32)
    assert Renderer([roof]).shadowed(points, np.array([0, 0, 1.0])).tolist() == [True, False, False]


def test_an_object_behind_the_camera_or_beside_the_picture_leaves_the_background():
    renderer = Renderer([box(np.full(3, 0.1), WHITE)])
    for pose in (ahead(-1.0), ahead(1.0) + np.array([[0, 0, 0, 9], *np.zeros((3, 4))])):
        seen = renderer.render(pose, CAMERA, light(), np.full((120, 160, 3), 0.5))
        assert (seen.mesh == -1).all()
        assert np.allclose(seen.colour, 0.5)


def test_srgb_survives_there_and_back_below_the_shoulder():
    values = np.arange(0, 225, dtype=np.uint8).reshape(1, -1, 1).repeat(3, axis=2)
    assert np.abs(encode_srgb(decode_srgb(values)).astype(int) - values).max() <= 1
