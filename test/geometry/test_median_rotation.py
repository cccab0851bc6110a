import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from surfpose_ros.geometry.rotations import (
    median_rotation,
    random_rotations,
    rotation_angle,
    rotation_from_rotvec,
)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_a_third_of_outliers_hardly_moves_the_median(seed):
    generator = torch.Generator().manual_seed(seed)
    centre, *others = random_rotations(6, generator)
    near = (
        rotation_from_rotvec(0.02 * torch.randn(10, 3, generator=generator, dtype=torch.float64)) @ centre
    )
    median = median_rotation(torch.cat([torch.stack(others), near]))
    assert rotation_angle(median, centre) < 0.05


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_median_has_the_smallest_sum_of_angles(seed):
    centre = Rotation.random(rng=np.random.default_rng(seed))
    offsets = Rotation.from_rotvec(np.random.default_rng(seed).normal(size=(7, 3)) * 0.4)
    rotations = offsets * centre

    def total(rotvec):
        return (Rotation.from_rotvec(rotvec) * centre * rotations.inv()).magnitude().sum()

    ours = Rotation.from_matrix(median_rotation(torch.from_numpy(rotations.as_matrix())).numpy())
    best = minimize(total, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    assert total((ours * centre.inv()).as_rotvec()) <= best.fun + 5e-3  # half a degree is smoothed over


def test_one_rotation_is_its_own_median():
    one = random_rotations(1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(median_rotation(one), one[0])
