import numpy as np
import pytest
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.object_symmetries import (
    pair_errors,
    parse_symmetries,
    symmetries_of,
    together,
)
from surfpose_ros.geometry.rotations import rotation_from_rotvec
from surfpose_ros.geometry.symmetry import Symmetry, parse_symmetry


def about_z(degrees):
    return rotation_from_rotvec(torch.tensor([0.0, 0.0, np.deg2rad(degrees)]).double()).numpy()


def test_an_objects_own_symmetry_goes_before_its_categorys():
    symmetries = parse_symmetries(["table=z:2", "table/desk=none", "bottle=z:inf"])
    assert symmetries_of("table", ["desk", "plain"], symmetries) == [Symmetry(), parse_symmetry("z:2")]
    assert symmetries_of("car", ["beetle"], symmetries) == [Symmetry()]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [("none", "z:2", "z:2"), ("z:4", "z:2", "z:4"), ("z:3", "z:2", "z:6"), ("z:inf", "z:2", "z:inf")],
)
def test_two_objects_leave_open_what_either_leaves_open(first, second, both):
    assert together(parse_symmetry(first), parse_symmetry(second)) == parse_symmetry(both)
    assert together(parse_symmetry(second), parse_symmetry(first)) == parse_symmetry(both)


def test_symmetries_about_different_axes_are_refused():
    with pytest.raises(SurfposeError, match="different axes"):
        together(parse_symmetry("x:2"), parse_symmetry("z:2"))


def test_a_quarter_turn_is_forgiven_only_where_an_object_of_the_pair_allows_it():
    none, half, quarter = (parse_symmetry(text) for text in ("none", "z:2", "z:4"))
    turned, still = np.stack([about_z(93)] * 3), np.stack([np.eye(3)] * 3)
    errors = pair_errors(turned, still, [(none, half), (half, quarter), (none, none)])
    assert errors == pytest.approx([87, 3, 93])
