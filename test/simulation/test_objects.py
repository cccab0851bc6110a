from pathlib import Path

import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.symmetry import parse_symmetry
from surfpose_ros.simulation.objects import CATEGORIES, SYMMETRIES, load_object, make_object, resized
from surfpose_ros.simulation.renderer import Light, Renderer

CAMERA = Camera(np.array([[200, 0, 59.5], [0, 200, 59.5], [0, 0, 1.0]]), 120, 120)
# The same light from all sides: a turn that changes nothing in the object changes nothing in the picture.
EVEN = Light(np.array([0, 0, 1.0]), np.zeros(3), np.ones(3), np.ones(3), np.array([0, 0, 1.0]))


def picture(item, turn):
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0.0]]) @ turn
    pose[2, 3] = 1.7 * np.linalg.norm(item.size)
    return Renderer([item.mesh]).render(pose, CAMERA, EVEN).colour


def about_z(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_the_same_seed_gives_the_same_object_and_another_seed_another(category):
    first, again, other = (make_object(category, seed).mesh for seed in (3, 3, 4))
    assert np.array_equal(first.corners, again.corners)
    assert all(np.array_equal(a, b) for a, b in zip(first.textures, again.textures, strict=True))
    assert first.corners.shape != other.corners.shape or not np.allclose(first.corners, other.corners)


@pytest.mark.parametrize("seed", range(12))
def test_a_mug_has_a_real_mugs_size_and_its_handle_to_the_front(seed):
    mug = make_object("mug", seed)
    assert 0.075 < mug.size[2] < 0.13
    low, high = mug.mesh.bounds
    assert np.allclose(low, -high, atol=1e-6)
    tip = mug.mesh.corners.reshape(-1, 3)[mug.mesh.corners.reshape(-1, 3)[:, 0] > 0.98 * high[0]]
    assert np.abs(tip[:, 1]).max() < 0.015, "what reaches furthest to +x is the narrow handle"
    assert mug.size[0] > mug.size[1]


def test_every_category_says_its_symmetry():
    assert set(SYMMETRIES) == set(CATEGORIES)
    assert parse_symmetry(SYMMETRIES["mug"]) != parse_symmetry(SYMMETRIES["bottle"])


@pytest.mark.parametrize(("category", "degrees"), [("bottle", 37.5), ("pot", 180.0)])
def test_a_turn_of_its_symmetry_does_not_change_an_objects_picture(category, degrees):
    item = make_object(category, 5)
    difference = np.abs(picture(item, np.eye(3)) - picture(item, about_z(degrees)))
    assert (difference.max(axis=-1) > 0.05).mean() < 0.005


@pytest.mark.parametrize(("category", "degrees"), [("mug", 180.0), ("pot", 90.0)])
def test_another_turn_does(category, degrees):
    item = make_object(category, 5)
    difference = np.abs(picture(item, np.eye(3)) - picture(item, about_z(degrees)))
    assert (difference.max(axis=-1) > 0.05).mean() > 0.01


def test_a_mesh_file_is_centred_scaled_and_keeps_its_colours(shared_data):
    path = sorted((shared_data / "cad" / "car").glob("*.glb"))[2]
    car = load_object(path, "car", diagonal=4.0)
    assert np.linalg.norm(car.size) == pytest.approx(4.0, rel=1e-5)
    assert np.allclose(car.mesh.bounds.sum(axis=0), 0, atol=1e-5)
    red, green, blue = picture(car, np.eye(3)).reshape(-1, 3).sum(axis=0)
    assert red > 1.5 * max(green, blue), "fg_hatchback_red is red"
    assert np.allclose(resized(car, 0.5).size, car.size / 2)


def test_a_missing_or_broken_mesh_file_is_an_error_of_one_line(tmp_path: Path):
    with pytest.raises(SurfposeError, match="no such mesh"):
        load_object(tmp_path / "none.glb", "car")
    broken = tmp_path / "broken.glb"
    broken.write_bytes(b"glTF nonsense")
    with pytest.raises(SurfposeError, match=r"broken\.glb"):
        load_object(broken, "car")


def test_an_unknown_category_is_refused_with_the_known_ones():
    with pytest.raises(SurfposeError, match="mug"):
        make_object("spaceship", 0)
