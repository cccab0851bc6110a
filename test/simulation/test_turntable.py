import numpy as np
import pytest

from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable, TurntableSettings

SMALL = TurntableSettings(width=160, height=120)


@pytest.fixture(scope="module")
def turntable():
    return Turntable(make_object("mug", 1), SMALL, seed=4)


def test_the_truth_says_where_the_object_is_in_the_picture(turntable):
    caster = RayCaster(make_object("mug", 1).mesh.mesh())
    for angle, elevation in turntable.views(6):
        frame = turntable.frame(angle, elevation)
        expected = caster.surface_map(frame.camera_from_object, turntable.camera)[1] >= 0
        assert (expected & frame.mask).sum() / (expected | frame.mask).sum() > 0.98


def test_the_object_turns_about_the_base_z_axis_and_stands_on_the_disc(turntable):
    start, quarter = turntable.base_from_object(0.0), turntable.base_from_object(np.pi / 2)
    turn = quarter @ np.linalg.inv(start)
    assert np.allclose(turn, [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], atol=1e-9)
    low = make_object("mug", 1).mesh.bounds[0, 2]
    assert start[2, 3] + low == pytest.approx(0, abs=1e-6)


def test_the_camera_stands_at_its_elevation_and_has_the_whole_object_in_view(turntable):
    for elevation in SMALL.elevations:
        pose = turntable.base_from_camera(elevation)
        assert np.arcsin(-pose[2, 2]) == pytest.approx(elevation)
        mask = turntable.frame(0.3, elevation).mask
        assert mask.any()
        assert not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def test_views_go_round_once_for_each_elevation(turntable):
    views = turntable.views(48)
    assert len(views) == 48
    for elevation in SMALL.elevations:
        angles = [angle for angle, height in views if height == elevation]
        assert np.allclose(np.diff(angles), 2 * np.pi / len(angles))


def test_the_empty_table_differs_from_a_picture_only_near_object_and_shadow(turntable):
    elevation = SMALL.elevations[1]
    empty = turntable.frame(0.0, elevation, with_object=False)
    full = turntable.frame(0.0, elevation)
    assert not empty.mask.any()
    change = np.abs(full.image.astype(int) - empty.image).max(axis=-1) > 30
    assert change[full.mask].mean() > 0.8
    assert change[:, :20].mean() < 0.01


def test_equal_seeds_give_equal_pictures_and_depth_is_that_of_the_table():
    frames = [Turntable(make_object("mug", 1), SMALL, seed=9).frame(0.5, 0.6) for _ in range(2)]
    assert np.array_equal(frames[0].image, frames[1].image)
    assert np.array_equal(frames[0].depth, frames[1].depth)
    on_object, beside = frames[0].depth[frames[0].mask], frames[0].depth[110, 80]
    assert 0 < on_object.min() < on_object.max() < 1
    assert 0 < beside < 1
