import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.object_video import Frame
from surfpose_ros.video.steadiness import mask_qualities, steady_masks

CAMERA = Camera(np.array([[100.0, 0, 79.5], [0, 100.0, 59.5], [0, 0, 1]]), 160, 120)


def ellipse(turn_deg: float, x: int = 80) -> np.ndarray:
    mask = np.zeros((120, 160), np.uint8)
    cv2.ellipse(mask, (x, 60), (40, 20), turn_deg, 0, 360, 1, -1)
    return mask > 0


def frames(masks):
    image = np.zeros((120, 160, 3), np.uint8)
    return [Frame(str(index), index, image, CAMERA, mask) for index, mask in enumerate(masks)]


def test_a_turning_and_moving_object_keeps_all_its_masks_with_a_figure_each():
    rated, dropped = steady_masks(frames([ellipse(15 * index, 60 + 3 * index) for index in range(12)]))
    assert dropped == 0
    assert all(frame.mask is not None and frame.mask_quality > 0.7 for frame in rated)


def test_a_mask_that_lost_half_of_the_object_or_took_the_table_with_it_is_dropped():
    masks = [ellipse(10 * index) for index in range(12)]
    masks[4] = masks[4].copy()
    masks[4][:, 80:] = False
    masks[8] = masks[8].copy()
    masks[8][70:] = True
    rated, dropped = steady_masks(frames(masks))
    assert dropped == 2
    assert [index for index, frame in enumerate(rated) if frame.mask is None] == [4, 8]
    assert rated[4].mask_quality < rated[5].mask_quality


def test_recorded_masks_and_views_far_apart_are_all_kept():
    masks = [ellipse(10 * index) for index in range(12)]
    masks[4] = masks[4].copy()
    masks[4][:, 80:] = False
    rated, dropped = steady_masks(frames(masks), trusted=True)
    assert dropped == 0
    assert rated[4].mask is not None
    assert steady_masks(frames([ellipse(80 * index) for index in range(8)]))[1] == 0


def test_frames_without_an_object_have_no_figure():
    assert mask_qualities([None, np.zeros((120, 160), bool), ellipse(0)]) == [None, None, 0.0]
