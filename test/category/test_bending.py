import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from surfpose_ros.category.bending import Bendable


def cloud(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (600, 3))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.floats(-0.1, 0.1), st.floats(0.5, 2.0))
def test_a_bend_follows_what_is_smooth(seed, height, waves):
    points = cloud(seed)
    goals = points + np.array([[0, 0, 1.0]]) * height * np.sin(waves * points[:, :1])
    bent = Bendable(points).bend(goals)(points)
    assert np.abs(bent - goals).mean() < 0.05 * np.abs(height) + 1e-6


def test_a_bend_between_the_points_is_as_theirs():
    points, others = cloud(0), cloud(1) * 0.9
    bend = Bendable(points).bend(points + np.array([0.0, 0.03, 0.0]))
    assert np.abs(bend(others) - others - [0, 0.03, 0]).max() < 0.006


def test_the_stiffer_the_less_it_bends():
    points = cloud(2)
    goals = points + 0.1 * np.sin(8 * points[:, ::-1])
    sizes = [
        np.abs(Bendable(points).bend(goals, stiffness)(points) - points).mean()
        for stiffness in (1e-3, 1, 100)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_goals_of_some_points_leave_far_ones_where_they_are():
    points = cloud(3)
    near = np.flatnonzero(points[:, 0] > 0.3)
    bend = Bendable(points).bend(points[near] + np.array([0.0, 0.0, 0.05]), which=near)
    moved = np.linalg.norm(bend(points) - points, axis=1)
    assert moved[near].mean() > 0.04
    assert moved[points[:, 0] < -0.3].max() < 0.01


def test_points_at_one_place_can_be_bent():
    points = np.repeat(cloud(4)[:20], 10, axis=0)
    assert np.isfinite(Bendable(points).bend(points + 0.01)(points)).all()
