import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import random_rotations, rotation_angle, rotation_from_rotvec
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry, parse_symmetry, symmetry_from_dict

AXES = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)
SYMMETRIES = st.builds(Symmetry, st.integers(0, 6), AXES, st.booleans())


def two_rotations(seed):
    return random_rotations(2, torch.Generator().manual_seed(seed))


@given(symmetry=SYMMETRIES, seed=st.integers(0, 99), which=st.integers(0, 99))
def test_turning_the_object_onto_itself_changes_no_distance(symmetry, seed, which):
    a, b = two_rotations(seed)
    turns = symmetry.rotations()
    turn = turns[which % len(turns)]
    torch.testing.assert_close(symmetry.distance(a @ turn, b), symmetry.distance(a, b), atol=1e-6, rtol=0)
    assert symmetry.distance(a, a @ turn) < 1e-6


@given(symmetry=SYMMETRIES, seed=st.integers(0, 99))
def test_the_distance_is_symmetric_and_never_above_the_plain_angle(symmetry, seed):
    a, b = two_rotations(seed)
    torch.testing.assert_close(symmetry.distance(a, b), symmetry.distance(b, a), atol=1e-6, rtol=0)
    assert symmetry.distance(a, b) <= rotation_angle(a, b) + 1e-6


@settings(max_examples=20)
@given(axis=AXES, seed=st.integers(0, 99), reversible=st.booleans())
def test_a_continuous_axis_is_the_limit_of_many_turns(axis, seed, reversible):
    a, b = two_rotations(seed)
    exact = Symmetry(CONTINUOUS, axis, reversible)
    many = rotation_angle(a @ exact.rotations(3600), b).amin()
    torch.testing.assert_close(exact.distance(a, b), many, atol=1e-2, rtol=0)


@given(order=st.integers(1, 6))
def test_discrete_turns_agree_with_scipys_group(order):
    ours = Rotation.from_matrix(Symmetry(order, reversible=True).rotations().numpy())
    group = Rotation.create_group(f"D{order}", axis="Z")
    for turn in ours:
        assert (turn.inv() * group).magnitude().min() < 1e-7
    assert len(ours) == len(group)


@given(symmetry=SYMMETRIES)
def test_a_symmetry_survives_its_dictionary(symmetry):
    again = symmetry_from_dict(symmetry.as_dict())
    assert again.order == symmetry.order and again.reversible == symmetry.reversible
    np.testing.assert_allclose(again.axis, symmetry.axis, atol=1e-12)


@settings(max_examples=30)
@given(symmetry=SYMMETRIES, seed=st.integers(0, 99))
def test_the_nearest_turn_is_as_near_as_the_distance_says(symmetry, seed):
    a, b = two_rotations(seed)
    nearest = symmetry.nearest(a, b)
    assert symmetry.distance(nearest, a) < 1e-6
    torch.testing.assert_close(rotation_angle(nearest, b), symmetry.distance(a, b), atol=0.01, rtol=0)


def test_a_turned_frame_turns_the_axis():
    quarter_about_x = rotation_from_rotvec(torch.tensor([np.pi / 2, 0, 0]))
    np.testing.assert_allclose(Symmetry(2).turned(quarter_about_x).axis, (0, -1, 0), atol=1e-7)


def test_what_a_person_types():
    assert parse_symmetry("none") == Symmetry() and not Symmetry()
    assert parse_symmetry("x:4") == Symmetry(4, (1, 0, 0))
    assert str(parse_symmetry("z:inf!")) == "any turn about (0, 0, 1), either end up"
    for wrong in ("z", "w:2", "z:0", "z:-1", "z:two"):
        with pytest.raises(SurfposeError, match="z:inf"):
            parse_symmetry(wrong)
    with pytest.raises(SurfposeError, match="not a symmetry"):
        symmetry_from_dict({"axis": [0, 0, 1]})
