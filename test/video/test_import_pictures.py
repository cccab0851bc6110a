"""Folders of pictures to captures: order, spins, and what is refused."""

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import rotation_angle
from surfpose_ros.video.import_pictures import import_pictures, picture_files
from surfpose_ros.video.reader import read_capture

from .recordings import brick, camera_from_base, picture, turned


@pytest.fixture
def spin(tmp_path):
    """A brick that turns anticlockwise in steps of 30 degrees; eleven of the names sort wrongly as text."""
    folder = tmp_path / "brick_01"
    folder.mkdir()
    for index in range(12):
        image, mask = picture(brick(), camera_from_base() @ turned(np.radians(30 * index)))
        cv2.imwrite(str(folder / f"{index + 1}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / f"{index + 1}_mask.png"), mask.astype(np.uint8) * 255)
    return folder


def test_an_even_spin_becomes_a_capture_with_rotations_masks_and_up(spin, tmp_path):
    out = import_pictures(spin, tmp_path / "out" / "brick_01", "brick", turn_deg=360, elevation_deg=30)
    video = read_capture(out)
    assert [frame.name for frame in video.frames] == [f"{index}.png" for index in range(1, 13)]
    assert (video.pose_source, video.poses_exact, video.metric) == ("dataset", False, False)
    assert np.array_equal(video.up, [0, 0, 1])
    # Up to a turn of the whole video about z, which no picture tells.
    first = camera_from_base()[:3, :3].T @ video.frames[0].camera_from_video[:3, :3]
    for index, frame in enumerate(video.frames):
        truth = (camera_from_base() @ turned(np.radians(30 * index)))[:3, :3] @ first
        angle = rotation_angle(torch.from_numpy(frame.camera_from_video[:3, :3]), torch.from_numpy(truth))
        assert np.degrees(angle.item()) < 0.01
        assert frame.mask.any()


def test_pictures_without_a_spin_have_no_poses_of_their_own(spin, tmp_path):
    video = read_capture(import_pictures(spin, tmp_path / "out" / "brick_01", "brick"), poses="none")
    assert len(video.frames) == 12
    assert all(frame.camera_from_video is None for frame in video.frames)


def test_what_is_no_such_folder_is_refused(spin, tmp_path):
    with pytest.raises(SurfposeError, match="no such folder of pictures"):
        picture_files(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SurfposeError, match=r"0 pictures .* and 3 are needed"):
        import_pictures(tmp_path / "empty", tmp_path / "out", "brick")
    cv2.imwrite(str(spin / "13.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(SurfposeError, match=r"13.png: 30x20 pixels, and the first has 96x72"):
        import_pictures(spin, tmp_path / "out" / "brick_01", "brick")
    assert not (tmp_path / "out" / "brick_01").exists()
    with pytest.raises(SurfposeError, match="exists and was not imported"):
        import_pictures(spin, spin, "brick")
