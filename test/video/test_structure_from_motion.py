"""Structure from motion on rendered turntables against their truth, and what is said where it fails."""

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.errors import MissingExtraError, SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import rotation_angle
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import SimulatedObject
from surfpose_ros.simulation.shapes import ellipsoid
from surfpose_ros.simulation.turntable import TurntableSettings
from surfpose_ros.video.object_video import Frame
from surfpose_ros.video.reader import read_capture
from surfpose_ros.video.structure_from_motion import clean_cloud, sfm_available, sfm_poses

needs_pycolmap = pytest.mark.skipif(not sfm_available(), reason='needs pip install "surfpose_ros[sfm]"')
CAMERA = Camera(np.array([[100.0, 0, 49.5], [0, 100.0, 49.5], [0, 0, 1]]), 100, 100)


def speckled_stone() -> SimulatedObject:
    """An ellipsoid of 0.3 x 0.2 x 0.15 m on which no spot looks like another."""
    small = np.random.default_rng(0).integers(40, 230, (20, 40, 3)).astype(np.uint8)
    texture = cv2.resize(small, (1024, 512), interpolation=cv2.INTER_CUBIC)
    return SimulatedObject("stone", "stone", ellipsoid(np.array([0.3, 0.2, 0.15]), texture))


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """A camera that stands still before a turntable; the truth is in the joint's angles."""
    table = TurntableSettings(elevations=(0.6,))
    options = CaptureOptions(views=18, poses="turntable", turntable=table)
    out = tmp_path_factory.mktemp("captures")
    return simulate_captures([speckled_stone], ["brick_01"], out, 0, options)[0]


def relative_errors_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Between the turns from each frame to the next in two sets of rotations ``(N, 3, 3)``."""
    turns = [rotations[1:] @ rotations[:-1].transpose(0, 2, 1) for rotations in (first, second)]
    return np.degrees(rotation_angle(*map(torch.from_numpy, turns)).numpy())


@needs_pycolmap
def test_a_still_camera_before_a_turntable_is_posed_within_a_degree_and_twice_the_same(capture):
    truth = {frame.name: frame.camera_from_video for frame in read_capture(capture).frames}
    video = read_capture(capture, poses="sfm")
    assert (video.pose_source, video.metric, video.up) == ("sfm", False, None)
    assert len(video.frames) >= 17
    found = np.array([frame.camera_from_video for frame in video.frames])
    expected = np.array([truth[frame.name] for frame in video.frames])
    assert np.median(relative_errors_deg(found[:, :3, :3], expected[:, :3, :3])) < 1
    assert len(video.cloud) > 100
    assert np.linalg.norm(np.ptp(video.cloud, axis=0)) < 2
    again = sfm_poses(read_capture(capture, poses="none").frames, "again")
    poses = np.array([pose for pose in again.poses if pose is not None])
    assert np.array_equal(poses, found)
    assert np.array_equal(again.cloud, video.cloud)


@needs_pycolmap
def test_an_object_without_texture_says_so_and_what_to_do():
    image = np.full((100, 100, 3), 90, np.uint8)
    mask = np.zeros((100, 100), bool)
    mask[30:70, 30:70] = True
    image[mask] = 180
    frames = [Frame(f"{index}", index, image, CAMERA, mask) for index in range(6)]
    with pytest.raises(
        SurfposeError, match=r"plain_01: the object has too little texture.*put a printed board"
    ):
        sfm_poses(frames, "plain_01")


@needs_pycolmap
def test_frames_without_masks_say_so():
    frames = [Frame("0", 0.0, np.zeros((100, 100, 3), np.uint8), CAMERA)]
    with pytest.raises(SurfposeError, match="structure from motion needs masks"):
        sfm_poses(frames, "bare_01")


@pytest.mark.skipif(sfm_available(), reason="pycolmap is installed")
def test_without_pycolmap_the_message_names_the_extra():
    with pytest.raises(MissingExtraError, match=r'needs pycolmap: pip install "surfpose_ros\[sfm\]"'):
        sfm_poses([], "any")


def test_points_off_the_object_and_behind_a_camera_are_dropped():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    image = np.zeros((100, 100, 3), np.uint8)
    frames = [Frame(f"{index}", index, image, CAMERA, mask) for index in range(3)]
    poses = [np.eye(4), np.eye(4), None]
    points = np.array([[0, 0, 2.0], [0.5, 0, 2.0], [0, 0, -2.0], [5.0, 0, 2.0]])
    assert np.array_equal(clean_cloud(points, frames, poses), points[:1])
