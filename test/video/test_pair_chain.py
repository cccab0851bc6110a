"""Pairs of pictures against the chain of neighbours, with rotations made up for the purpose."""

import numpy as np
import torch

from surfpose_ros.geometry.rotations import rotation_from_rotvec
from surfpose_ros.video.pair_chain import pairs_of_chain


def turned(degrees: float) -> np.ndarray:
    """The rotation of a camera's frame about an upright axis."""
    return rotation_from_rotvec(torch.tensor([0.0, np.radians(degrees), 0.0], dtype=torch.float64)).numpy()


def ring(count: int, step: float, reach: int) -> dict[tuple[int, int], np.ndarray]:
    """True turns between all pictures up to `reach` apart of a turntable that goes on by `step` degrees."""
    return {
        (first, first + gap): turned(step * gap)
        for gap in range(1, reach + 1)
        for first in range(count - gap)
    }


def test_pairs_that_agree_with_the_steps_between_them_all_stay():
    turns = ring(24, 15.0, reach=4)
    assert pairs_of_chain(turns) == set(turns)


def test_far_pairs_that_say_nothing_turned_are_dropped():
    true = ring(24, 15.0, reach=2)
    rims = {(first, first + 6): turned(0.5) for first in range(18)}
    repeated = {(first, first + 3): turned(45.0 - 30.0) for first in range(21)}  # a pattern each 30 degrees
    assert pairs_of_chain({**true, **rims, **repeated}) == set(true)


def test_two_turns_are_joined_by_the_nearest_pair_and_the_others_must_agree_with_it():
    first = ring(10, 10.0, reach=2)
    second = {(a + 10, b + 10): turn for (a, b), turn in first.items()}
    joins = {(5, 12): turned(-30.0), (4, 12): turned(-20.0), (2, 15): turned(90.0)}
    kept = pairs_of_chain({**first, **second, **joins})
    assert kept == set(first) | set(second) | {(5, 12), (4, 12)}


def test_without_pairs_there_is_nothing_to_keep():
    assert pairs_of_chain({}) == set()
