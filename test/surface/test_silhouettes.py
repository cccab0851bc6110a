import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.surface.silhouettes import signed_distance, silhouette_views
from surfpose_ros.video.object_video import Frame


def test_signed_distances_are_exact_to_the_last_digit():
    """OpenCV's alone are not, and differ from run to run, and with them the surfaces."""
    y, x = np.mgrid[:200, :301]
    mask = (x - 140) ** 2 + 2 * (y - 90) ** 2 < 7000
    true = np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask))
    np.testing.assert_array_equal(signed_distance(mask), true.astype(np.float32))


@pytest.mark.parametrize("middle", [(90, 120), (10, 120), (10, 5), (199, 300)], ids=str)
def test_the_distances_on_a_crop_are_those_on_the_whole_picture_wherever_the_object_is(middle):
    y, x = np.mgrid[:200, :301]
    inside = (y - middle[0]) ** 2 / 900 + (x - middle[1]) ** 2 / 400 < 1
    inside &= (y - middle[0]) ** 2 + (x - middle[1]) ** 2 > 90  # a cup's handle
    camera = Camera(np.array([[300.0, 0, 150], [0, 300, 100], [0, 0, 1]]), 301, 200)
    frame = Frame("0", 0.0, np.zeros((200, 301, 3), np.uint8), camera, inside, np.eye(4))
    views = silhouette_views([frame], 64)
    true = np.where(inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside))
    scale = views.intrinsics[0, 0, 0] / 300  # crop pixels in one of the picture
    v, u = np.mgrid[:64, :64]
    rows = (v - views.intrinsics[0, 1, 2]) / scale + 100
    columns = (u - views.intrinsics[0, 0, 2]) / scale + 150
    known = (rows >= 0) & (rows <= 199) & (columns >= 0) & (columns <= 300)
    nearest = true[np.rint(rows[known]).astype(int), np.rint(columns[known]).astype(int)]
    # A crop's pixel lies within 0.8 of the nearest one of the picture, and distances change no faster.
    assert np.abs(views.distances[0][known] / scale - nearest).max() < 0.8
