import numpy as np
import pytest
import torch

from surfpose_ros.geometry.rotations import random_rotations, rotation_from_rotvec
from surfpose_ros.surface.up import up_from_cameras

from .rendered import ring_poses


def angle_deg(first, second) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def test_level_cameras_tell_up_in_any_frame():
    turn = random_rotations(1, torch.Generator().manual_seed(3))[0].numpy()
    poses = np.array(ring_poses(8, [20.0, 50.0]))
    poses[:, :3, :3] = poses[:, :3, :3] @ turn.T
    up, sigma = up_from_cameras(poses)
    assert angle_deg(up, turn @ [0, 0, 1]) < 0.01
    assert 0 < sigma < 3


def test_the_deviation_grows_with_the_cameras_roll_and_covers_the_error():
    generator = np.random.default_rng(0)
    poses = np.array(ring_poses(12, [30.0]))
    for roll_deg in (2.0, 10.0):
        rolled = poses.copy()
        for pose in rolled:
            roll = torch.tensor([0.0, 0.0, np.radians(generator.normal(0, roll_deg))]).double()
            pose[:3, :3] = rotation_from_rotvec(roll).numpy() @ pose[:3, :3]
        up, sigma = up_from_cameras(rolled)
        assert angle_deg(up, np.array([0, 0, 1.0])) < 3 * sigma
        assert sigma > roll_deg / 12**0.5 * 0.7


@pytest.mark.parametrize("elevation", [0.0])
def test_one_standpoint_does_not_tell_up(elevation):
    poses = np.array(ring_poses(60, [elevation]))[:2]
    assert up_from_cameras(poses) is None
