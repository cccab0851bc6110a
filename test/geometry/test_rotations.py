import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from surfpose_ros.geometry.rotations import (
    camera_from_object_views,
    cross_matrix,
    mean_rotation,
    nearest_rotation,
    quaternion_from_rotation,
    random_rotations,
    rodrigues,
    rotation_angle,
    rotation_from_quaternion,
    rotation_from_rotvec,
    rotvec_from_rotation,
    toward,
)

COORDINATE = st.floats(-1, 1, allow_subnormal=False)
QUATERNIONS = st.tuples(*[COORDINATE] * 4).map(np.array).filter(lambda q: np.linalg.norm(q) > 0.1)
VECTORS = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)
ANGLES = st.floats(-math.pi, math.pi)


def same(ours, theirs, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(ours), theirs, atol=tolerance, rtol=0)


def scipy_rotation(wxyz):
    return Rotation.from_quat(np.roll(wxyz, -1))


@given(wxyz=QUATERNIONS)
def test_quaternions_give_the_matrices_of_scipy(wxyz):
    same(rotation_from_quaternion(torch.tensor(wxyz)), scipy_rotation(wxyz).as_matrix())


@given(wxyz=QUATERNIONS)
def test_a_matrix_gives_back_its_quaternion_with_positive_w(wxyz):
    back = quaternion_from_rotation(torch.tensor(scipy_rotation(wxyz).as_matrix()))
    unit = wxyz / np.linalg.norm(wxyz)
    assert back[0] >= 0
    assert abs(abs(float(back @ torch.tensor(unit))) - 1) < 1e-12


@given(axis=VECTORS.filter(lambda v: np.linalg.norm(v) > 0.1), short=st.floats(0, 1e-3))
def test_quaternions_stay_exact_near_half_turns(axis, short):
    rotvec = axis / np.linalg.norm(axis) * (math.pi - short)
    rotation = torch.tensor(Rotation.from_rotvec(rotvec).as_matrix())
    same(rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation)


@given(rotvec=VECTORS)
def test_rotation_vectors_give_the_matrices_of_scipy(rotvec):
    same(rotation_from_rotvec(torch.tensor(rotvec)), Rotation.from_rotvec(rotvec).as_matrix())
    same(rodrigues(torch.tensor(rotvec)), Rotation.from_rotvec(rotvec).as_matrix())


@given(wxyz=QUATERNIONS)
def test_matrices_give_rotation_vectors_that_turn_back_into_them(wxyz):
    rotation = scipy_rotation(wxyz).as_matrix()
    rotvec = rotvec_from_rotation(torch.tensor(rotation))
    assert rotvec.norm() <= math.pi + 1e-9
    same(Rotation.from_rotvec(rotvec.numpy()).as_matrix(), rotation, 1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 1e-3])
def test_tiny_rotation_vectors_survive_the_way_there_and_back(dtype, angle):
    rotvec = torch.tensor([angle, 0.0, 0.0], dtype=dtype)
    same(rotvec_from_rotation(rotation_from_rotvec(rotvec)), rotvec, 1e-7)


@given(a=QUATERNIONS, b=QUATERNIONS)
def test_the_angle_is_that_of_scipy(a, b):
    expected = (scipy_rotation(a).inv() * scipy_rotation(b)).magnitude()
    ours = rotation_angle(
        rotation_from_quaternion(torch.tensor(a)), rotation_from_quaternion(torch.tensor(b))
    )
    same(ours, expected, 1e-6)


@given(angle=st.floats(1e-8, 1e-3))
def test_small_angles_keep_their_precision(angle):
    turned = rotation_from_rotvec(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))
    assert rotation_angle(turned, torch.eye(3, dtype=torch.float64)).item() == pytest.approx(
        angle, rel=1e-6
    )


@given(vector=VECTORS, other=VECTORS)
def test_the_cross_matrix_multiplies_like_numpy(vector, other):
    same(cross_matrix(torch.tensor(vector)) @ torch.tensor(other), np.cross(vector, other))


@given(entries=st.lists(st.floats(-2, 2), min_size=9, max_size=9))
def test_the_nearest_rotation_is_a_rotation_and_none_of_a_thousand_others_is_nearer(entries):
    matrix = torch.tensor(entries, dtype=torch.float64).reshape(3, 3)
    nearest = nearest_rotation(matrix)
    same(nearest @ nearest.T, np.eye(3))
    assert torch.linalg.det(nearest).item() == pytest.approx(1)
    others = random_rotations(1000, torch.Generator().manual_seed(0))
    assert (nearest - matrix).norm() <= (others - matrix).flatten(1).norm(dim=1).min() + 1e-9


@given(seed=st.integers(0, 999))
def test_the_mean_of_rotations_agrees_with_scipy(seed):
    generator = torch.Generator().manual_seed(seed)
    spread = rotation_from_rotvec(0.3 * torch.randn(7, 3, generator=generator, dtype=torch.float64))
    rotations = random_rotations(1, generator) @ spread
    weights = torch.rand(7, generator=generator, dtype=torch.float64) + 0.1
    expected = Rotation.from_matrix(rotations.numpy()).mean(weights.numpy()).as_matrix()
    same(mean_rotation(rotations, weights), expected, 1e-6)


def test_random_rotations_are_uniform_and_repeat_with_their_seed():
    rotations = random_rotations(20_000, torch.Generator().manual_seed(3))
    # Of uniform rotations the mean matrix is zero, and the angle has the mean pi/2 + 2/pi.
    assert rotations.mean(dim=0).abs().max() < 0.02
    angles = rotation_angle(rotations, torch.eye(3, dtype=torch.float64))
    assert angles.mean().item() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.02)
    assert torch.equal(rotations, random_rotations(20_000, torch.Generator().manual_seed(3)))


def view(azimuth, elevation, roll=0.0):
    return camera_from_object_views(
        *(torch.tensor(a, dtype=torch.float64) for a in (azimuth, elevation, roll))
    )


@given(azimuth=ANGLES, elevation=st.floats(-math.pi / 2, math.pi / 2), roll=ANGLES)
def test_views_are_rotations_that_look_at_the_object_from_where_they_say(azimuth, elevation, roll):
    camera_from_object = view(azimuth, elevation, roll)
    same(camera_from_object @ camera_from_object.T, np.eye(3))
    assert torch.linalg.det(camera_from_object).item() == pytest.approx(1)
    towards_camera = -camera_from_object[2]  # in the object frame
    horizontal = math.cos(elevation)
    expected = [horizontal * math.cos(azimuth), horizontal * math.sin(azimuth), math.sin(elevation)]
    same(towards_camera, expected)


def test_from_the_front_an_objects_left_is_on_the_right_of_the_picture_and_its_top_above():
    camera_from_object = view(0.0, 0.0)
    front, left, up = camera_from_object.T
    same(front, [0, 0, -1])
    same(left, [1, 0, 0])
    same(up, [0, -1, 0])


def test_positive_roll_turns_the_picture_clockwise():
    up = view(0.0, 0.0, math.pi / 2)[:, 2]
    same(up, [1, 0, 0])  # what was above is now on the right


@given(ray=st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.1, 2)).map(np.array))
def test_the_turn_toward_a_ray_is_the_smallest_that_takes_the_optical_axis_there(ray):
    unit = ray / np.linalg.norm(ray)
    turn = toward(torch.tensor(ray))
    same(turn @ turn.T, np.eye(3))
    same(turn[:, 2], unit)
    same(rotation_angle(turn, torch.eye(3, dtype=turn.dtype)), math.acos(min(unit[2], 1.0)), 1e-6)
