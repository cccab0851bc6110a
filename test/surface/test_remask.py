"""Masks that took a shadow with them, before and after a second GrabCut seeded by the mesh they give."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.surface.remask import with_surface_masks
from surfpose_ros.video.object_video import Frame, ObjectVideo

from .rendered import render_video, ring_poses

SMALL = ReconstructSettings(max_vertices=200, resolution=48, image_size=64, views_kept=4)
TABLE = np.array([150.0, 110, 70])


def shadowed(frame: Frame, number: int) -> Frame:
    """The frame over a wooden table; in most, the shadow beside the object is in the mask, too."""
    table = np.broadcast_to(TABLE, frame.image.shape) + np.random.default_rng(number).normal(
        0, 4, frame.image.shape
    )
    x, y, width, height = cv2.boundingRect(frame.mask.astype(np.uint8))
    shadow = np.zeros(frame.mask.shape, np.uint8)
    cv2.ellipse(shadow, (x + width, y + height), (width // 2, height // 4), 0, 0, 360, 1, -1)
    shadow = (shadow > 0) & ~frame.mask
    table[shadow] *= 0.6
    image = np.where(frame.mask[..., None], frame.image, np.clip(table, 0, 255)).astype(np.uint8)
    return replace(frame, image=image, mask=frame.mask | shadow if number % 4 else frame.mask)


@pytest.fixture(scope="module")
def truth(ellipsoid) -> ObjectVideo:
    return render_video(ellipsoid, ring_poses(8, [10.0, 40.0]))


@pytest.fixture(scope="module")
def video(truth) -> ObjectVideo:
    return replace(truth, frames=[shadowed(frame, number) for number, frame in enumerate(truth.frames)])


def overlap(video: ObjectVideo, truth: ObjectVideo) -> float:
    pairs = [(frame.mask, true.mask) for frame, true in zip(video.frames, truth.frames, strict=True)]
    return float(np.mean([(mask & true).sum() / (mask | true).sum() for mask, true in pairs]))


def test_a_shadow_that_grabcut_took_in_is_left_out_the_second_time(video, truth):
    doubtful = replace(video, mask_source="grabcut")
    surface = reconstruct(doubtful, load_backbone(), SMALL)
    assert overlap(doubtful, truth) < 0.85
    assert overlap(with_surface_masks(doubtful, surface), truth) > 0.95
    size = np.ptp(surface.mesh.vertices, axis=0)
    exact = np.ptp(reconstruct(truth, load_backbone(), SMALL).mesh.vertices, axis=0)
    np.testing.assert_allclose(size, exact, rtol=0.06)


def test_recorded_masks_stay_as_they_are(video, truth):
    recorded = replace(video, mask_source="topic")
    surface = reconstruct(truth, load_backbone(), SMALL)
    assert with_surface_masks(recorded, surface) is recorded
