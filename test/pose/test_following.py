"""Where images are searched while objects are tracked."""

import numpy as np
import pytest

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.detection import Detection, PoseHypothesis
from surfpose_ros.pose.following import Follower
from surfpose_ros.pose.tracking import Tracker

CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)
DT, PERIOD = 0.1, 0.5


def seen_at(x: float, z: float = 0.8, category: str = "mug") -> Detection:
    pose = np.eye(4)
    pose[:3, 3] = x, 0.0, z
    centre, side = 600 * x / z + 320, 600 * 0.1 / z
    box = (centre - side / 2, 240 - side / 2, side, side)
    hypothesis = PoseHypothesis(pose, 1.0, np.diag([0.004**2] * 3 + [0.1**2] * 3))
    return Detection(category, 0.9, box, (hypothesis,), np.full(3, 0.06), True)


def follow(follower: Follower, images: int, *speeds: float) -> None:
    """Images at `DT` of objects side by side that move at constant speeds."""
    for step in range(images):
        follower.where(step * DT, CAMERA, PERIOD)
        found = [seen_at(0.2 * i + speed * step * DT) for i, speed in enumerate(speeds)]
        follower.tracker.update(step * DT, found)


def test_the_whole_image_is_searched_while_nothing_is_followed():
    follower = Follower(Tracker())
    for step in range(4):
        assert follower.where(step * DT, CAMERA, PERIOD) is None
        follower.tracker.update(step * DT, [])


def test_a_followed_object_is_looked_for_where_it_will_be():
    follower = Follower(Tracker())
    follow(follower, 9, 0.2)
    boxes = follower.where(9 * DT, CAMERA, 60.0)
    assert np.allclose(boxes["mug"][0], seen_at(0.2 * 9 * DT).box, atol=5)


def test_a_box_grows_as_its_object_comes_nearer():
    follower = Follower(Tracker())
    for step in range(9):
        follower.where(step * DT, CAMERA, PERIOD)
        follower.tracker.update(step * DT, [seen_at(0.0, 0.8 - 0.03 * step)])
    box = follower.where(9 * DT, CAMERA, 60.0)["mug"][0]
    assert box[2] > seen_at(0.0, 0.8 - 0.03 * 8).box[2]


def test_the_whole_image_is_searched_every_period_and_only_then():
    follower = Follower(Tracker())
    searched = []
    for step in range(12):
        searched.append(follower.where(step / 8, CAMERA, PERIOD) is None)
        follower.tracker.update(step / 8, [seen_at(0.0)])
    assert [step for step, whole in enumerate(searched) if whole] == [0, 4, 8]


def test_a_period_of_zero_searches_every_image():
    follower = Follower(Tracker())
    follow(follower, 5, 0.0)
    assert follower.where(5 * DT, CAMERA, 0.0) is None


def test_an_object_that_went_missing_has_the_whole_image_searched_until_it_is_forgotten():
    follower = Follower(Tracker())
    follow(follower, 5, 0.0, 0.0)
    whole = []
    for step in range(5, 25):
        whole.append(follower.where(step * DT, CAMERA, 60.0) is None)
        follower.tracker.update(step * DT, [seen_at(0.0)])
    assert not whole[0]  # both were there a moment ago
    assert all(whole[1:9]) and not any(whole[12:])


def test_an_object_that_leaves_the_image_is_not_followed_out_of_it():
    follower = Follower(Tracker())
    follow(follower, 5, 1.0)
    assert follower.where(5 * DT + 0.01, CAMERA, 60.0) is None


def test_all_objects_of_all_categories_are_followed():
    follower = Follower(Tracker())
    follower.where(0.0, CAMERA, PERIOD)
    follower.tracker.update(0.0, [seen_at(0.0), seen_at(0.2), seen_at(-0.2, category="cup")])
    boxes = follower.where(DT, CAMERA, PERIOD)
    assert {category: len(found) for category, found in boxes.items()} == {"mug": 2, "cup": 1}


@pytest.mark.parametrize("stamp", [0.05, -100.0])
def test_a_clock_set_back_has_the_whole_image_searched(stamp):
    follower = Follower(Tracker())
    follow(follower, 5, 0.0)
    assert follower.where(stamp, CAMERA, PERIOD) is None
