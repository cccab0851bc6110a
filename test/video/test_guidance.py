"""What a person who records is told."""

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.video.guidance import (
    AZIMUTH_BINS,
    CaptureGuide,
    GuidanceSettings,
    LookedAt,
    draw_guidance,
    view_direction,
)  # fmt: skip

RNG = np.random.default_rng(0)
TEXTURE = cv2.resize(
    RNG.integers(60, 200, (60, 80, 3), np.uint8), (640, 480), interpolation=cv2.INTER_NEAREST
)


def scene(step: int = 0, centre=(320, 240), size: int = 200) -> np.ndarray:
    """A still background with a square, or upright bar, whose texture changes with each step."""
    picture = TEXTURE.copy()
    half, side = size // 2, min(size, 240) // 2
    patch = np.random.default_rng(step).integers(0, 256, (20, 20, 3), np.uint8)
    patch = cv2.resize(patch, (2 * side, 2 * half), interpolation=cv2.INTER_NEAREST)
    picture[centre[1] - half : centre[1] + half, centre[0] - side : centre[0] + side] = patch
    return picture


def film(guide: CaptureGuide, elevation: float, azimuths=range(0, 360, 10)):
    for azimuth in azimuths:
        told = guide.add(scene(azimuth), (float(azimuth), elevation))
    return told


def test_a_ring_grows_until_it_is_complete_and_two_rings_are_enough():
    guide = CaptureGuide()
    told = film(guide, 10.0, range(0, 180, 10))
    assert told.rings[7.5] == pytest.approx(0.5, abs=1 / AZIMUTH_BINS)
    assert "keep turning" in told.advice
    told = film(guide, 10.0)
    assert told.rings[7.5] == 1.0
    assert "ring 1 of 2 complete" in told.advice
    assert not told.enough
    told = film(guide, 40.0)
    assert told.enough
    assert "enough" in told.advice


def test_blurred_pictures_do_not_count_and_are_said():
    guide = CaptureGuide()
    film(guide, 10.0, range(0, 90, 10))
    blurred = cv2.GaussianBlur(scene(7), (0, 0), 12)
    told = guide.add(blurred, (200.0, 10.0))
    assert "blurred" in told.advice
    assert not told.coverage[:, int(200 / 360 * AZIMUTH_BINS)].any()


@pytest.mark.parametrize(("level", "says"), [(2, "too dark"), (253, "too bright")])
def test_bad_exposure_is_said(level, says):
    told = CaptureGuide().add(np.full((480, 640, 3), level, np.uint8), None)
    assert says in told.advice


@pytest.mark.parametrize(
    ("centre", "size", "says"),
    [((560, 240), 140, "off centre"), ((320, 240), 60, "too far"), ((320, 240), 478, "too close")],
)
def test_framing_is_judged_by_what_moves(centre, size, says):
    guide = CaptureGuide()
    for step in range(6):
        told = guide.add(scene(step, centre, size), (step * 10.0, 10.0))
    assert says in told.advice


def test_where_nothing_moves_the_framing_is_not_judged():
    guide = CaptureGuide()
    for _ in range(6):
        told = guide.add(scene(1), (0.0, 10.0))
    assert told.centre is None


def test_without_view_directions_it_is_the_number_of_pictures_that_counts():
    guide = CaptureGuide(GuidanceSettings(min_frames=5))
    told = [guide.add(scene(step), None) for step in range(5)]
    assert "picture 3 of 5" in told[2].advice
    assert [one.enough for one in told] == [False] * 4 + [True]


def test_the_view_direction_turns_against_the_turntable():
    base_from_camera = np.eye(4)
    base_from_camera[:3, 3] = [0.5, 0.0, 0.5]
    azimuth, elevation = view_direction(base_from_camera, np.radians(30), np.zeros(3))
    assert (azimuth, elevation) == pytest.approx((330.0, 45.0))


def test_a_camera_that_goes_round_an_object_tells_where_it_stands():
    looked_at, stands = LookedAt(), np.array([0.4, -0.2, 0.1])
    told = []
    for azimuth in np.radians(np.arange(0, 90, 5)):
        base_from_camera = np.linalg.inv(look_at(stands, azimuth))
        looked_at.add(base_from_camera)
        told.append(looked_at.point())
    assert told[0] is None and told[1] is None  # the axes are still all but parallel
    assert np.allclose(told[-1], stands, atol=1e-6)
    azimuth, elevation = view_direction(base_from_camera, 0.0, told[-1])
    assert (azimuth, elevation) == pytest.approx((85.0, np.degrees(0.4)))


def look_at(point, azimuth):
    """camera_from_base of a camera half a metre from a point, 0.4 radians above it."""
    azimuth, elevation = torch.tensor(azimuth), torch.tensor(0.4, dtype=torch.float64)
    camera_from_base = np.eye(4)
    camera_from_base[:3, :3] = camera_from_object_views(
        azimuth, elevation, torch.zeros_like(azimuth)
    ).numpy()
    camera_from_base[:3, 3] = [0.0, 0.0, 0.5] - camera_from_base[:3, :3] @ point
    return camera_from_base


def test_the_preview_keeps_the_picture_and_shows_more_as_more_is_seen():
    guide = CaptureGuide()
    picture = scene()
    before = draw_guidance(picture, guide.add(picture, (0.0, 10.0)), recording=True)
    after = draw_guidance(picture, film(guide, 10.0), recording=True)
    assert before.shape == picture.shape
    green = [(shown == (80, 220, 80)).all(axis=2).sum() for shown in (before, after)]
    assert green[1] > 5 * green[0] > 0
    assert np.array_equal(picture, scene())
