from functools import partial

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views, rotation_angle
from surfpose_ros.simulation.captures import CaptureOptions, read_truth, simulate_captures, simulated_seed
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable, TurntableSettings
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.board import BoardPoses, BoardSpec
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.reader import read_capture

SPEC = BoardSpec(7, 5, 0.03, 0.022)
CAMERA = Camera(np.array([[600.0, 0, 319.5], [0, 600.0, 239.5], [0, 0, 1]]), 640, 480)
PIXELS_A_METRE = 4000


def pose_at(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """A camera that looks at the board's middle from 0.45 m."""
    angles = torch.tensor([np.radians(azimuth_deg), np.radians(elevation_deg), 0.05]).double()
    pose = np.eye(4)
    pose[:3, :3] = camera_from_object_views(*angles).numpy()
    middle = np.array([0.105, -0.075, 0.0])
    pose[:3, 3] = [0, 0, 0.45] - pose[:3, :3] @ middle
    return pose


def board_picture(camera_from_video: np.ndarray) -> np.ndarray:
    """The board as printed, on a grey table, with noise: a homography of its plane."""
    size = (round(7 * 0.03 * PIXELS_A_METRE), round(5 * 0.03 * PIXELS_A_METRE))
    flat = SPEC.opencv().generateImage(size, marginSize=0)
    # A pixel of the print lies at x = (u + 0.5) / s, y = -(v + 0.5) / s on the plane z = 0, z up.
    video_from_pixel = np.array(
        [
            [1 / PIXELS_A_METRE, 0, 0.5 / PIXELS_A_METRE],
            [0, -1 / PIXELS_A_METRE, -0.5 / PIXELS_A_METRE],
            [0, 0, 1],
        ]
    )
    homography = CAMERA.matrix @ camera_from_video[:3][:, [0, 1, 3]] @ video_from_pixel
    picture = np.full((480, 640), 120, np.uint8)
    cv2.warpPerspective(flat, homography, (640, 480), picture, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT)
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.repeat(np.clip(picture + noise, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("azimuth", [0.0, 100.0, 200.0, 300.0])
@pytest.mark.parametrize("elevation", [35.0, 65.0])
def test_the_pose_is_within_half_a_degree_and_two_millimetres(azimuth, elevation):
    truth = pose_at(azimuth, elevation)
    found = BoardPoses(SPEC)(board_picture(truth), CAMERA)
    angle = rotation_angle(torch.from_numpy(found[:3, :3].copy()), torch.from_numpy(truth[:3, :3].copy()))
    assert np.degrees(angle.item()) < 0.5
    assert np.linalg.norm(found[:3, 3] - truth[:3, 3]) < 0.002


def test_a_picture_without_the_board_has_no_pose():
    assert BoardPoses(SPEC)(np.full((480, 640, 3), 120, np.uint8), CAMERA) is None


def write(folder, spec, with_board):
    with CaptureWriter(folder, CaptureInfo("brick", board=spec)) as writer:
        for index in range(6):
            picture = (
                board_picture(pose_at(60.0 * index, 40.0))
                if index < with_board
                else np.zeros((480, 640, 3), np.uint8)
            )
            writer.write_picture("/image/compressed", picture, 10**9 * (index + 1), "camera")
            writer.write_camera_info("/camera_info", CAMERA, 10**9 * (index + 1), "camera")


def test_a_capture_with_a_board_is_metric_and_knows_up_and_floor(tmp_path):
    write(tmp_path / "a", SPEC, with_board=5)
    video = read_capture(tmp_path / "a")
    assert (video.pose_source, video.metric, video.floor, len(video.frames)) == ("board", True, 0.0, 5)
    assert np.array_equal(video.up, [0, 0, 1])
    assert any("the board is not seen" in note for note in video.notes)


def test_a_board_never_seen_or_never_described_says_so(tmp_path):
    write(tmp_path / "unseen", SPEC, with_board=0)
    with pytest.raises(SurfposeError, match=r"no camera pose for 6 of 6 frames \(the board is not seen"):
        read_capture(tmp_path / "unseen")
    write(tmp_path / "unknown", None, with_board=1)
    with pytest.raises(SurfposeError, match="does not say which board; add 'board:"):
        read_capture(tmp_path / "unknown", poses="board")


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": 2},
        {"marker": 0.04},
        {"dictionary": "DICT_9X9"},
        {"dictionary": "drawMarker"},
        {"kind": "chess"},
    ],
)
def test_a_board_that_cannot_be_is_refused(wrong):
    fields = {"columns": 7, "rows": 5, "square": 0.03, "marker": 0.022} | wrong
    with pytest.raises(ValueError, match="board"):
        BoardSpec(**fields)


def test_a_grid_of_april_tags_serves_as_well(tmp_path):
    table = TurntableSettings(elevations=(0.8,))
    for kind in ("grid", "charuco"):
        options = CaptureOptions(views=6, poses="board", board=kind, turntable=table)
        folder = tmp_path / kind / "mug_001"
        simulate_captures([partial(make_object, "mug", 1)], ["mug_001"], folder.parent, 0, options)
        video = read_capture(folder)
        assert (video.pose_source, video.metric, len(video.frames)) == ("board", True, 6)
        video_from_object = read_truth(folder.parent)["mug_001"]
        turntable = Turntable(make_object("mug", 1), table, simulated_seed(0, "mug", "mug_001"))
        for frame, (angle, elevation) in zip(video.frames, turntable.views(6), strict=True):
            truth = turntable.camera_from_object(angle, elevation)
            found = frame.camera_from_video @ video_from_object
            turn = rotation_angle(torch.from_numpy(found[:3, :3]), torch.from_numpy(truth[:3, :3]))
            assert np.degrees(turn.item()) < 0.5
            assert np.linalg.norm(found[:3, 3] - truth[:3, 3]) < 0.01 * np.linalg.norm(truth[:3, 3])
