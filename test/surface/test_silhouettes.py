import numpy as np
from scipy.ndimage import distance_transform_edt

from surfpose_ros.surface.silhouettes import signed_distance


def test_signed_distances_are_exact_to_the_last_digit():
    """OpenCV's alone are not, and differ from run to run, and with them the surfaces."""
    y, x = np.mgrid[:200, :301]
    mask = (x - 140) ** 2 + 2 * (y - 90) ** 2 < 7000
    true = np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask))
    np.testing.assert_array_equal(signed_distance(mask), true.astype(np.float32))
