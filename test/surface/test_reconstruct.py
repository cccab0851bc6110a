import dataclasses
import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.features import vertex_squareness
from surfpose_ros.surface.meshing import mesh_problems
from surfpose_ros.surface.picture import surface_picture
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.capture import CaptureInfo

from .rendered import render_video, ring_poses

SMALL = ReconstructSettings(max_vertices=200, resolution=48, image_size=128, views_kept=4)


@pytest.fixture(scope="module")
def video(ellipsoid):
    return render_video(ellipsoid, ring_poses(12, [5.0, 40.0]))


@pytest.fixture(scope="module")
def surface(video):
    return reconstruct(video, load_backbone(), SMALL)


def write_capture(folder, video):
    with CaptureWriter(folder, CaptureInfo(video.category, pose_source="dataset")) as writer:
        for index, frame in enumerate(video.frames):
            stamp = 10**9 + index * 10**8
            writer.write_picture("/image/compressed", frame.image, stamp, "camera")
            writer.write_picture("/mask/compressed", frame.mask, stamp, "camera", codec="png")
            writer.write_camera_info("/camera_info", frame.camera, stamp, "camera")
            pose = np.linalg.inv(frame.camera_from_video)
            writer.write_transform("/tf", "video", "camera", pose, stamp)


def changed(video, change):
    return dataclasses.replace(video, frames=[change(frame) for frame in video.frames])


def test_a_surface_is_a_clean_mesh_with_unit_features_up_and_a_grade(surface):
    assert mesh_problems(surface.mesh) == []
    assert len(surface.mesh.vertices) <= 200
    assert surface.features.shape[:2] == (len(surface.mesh.vertices), 4)
    lengths = np.linalg.norm(surface.features.astype(np.float32), axis=2)
    assert np.allclose(lengths[surface.feature_valid], 1, atol=2e-3)
    assert not lengths[~surface.feature_valid].any()
    assert surface.feature_valid.any(axis=1).mean() > 0.9
    assert surface.up @ [0, 0, 1] > 0.999
    assert surface.notes[0].startswith("grade A: 360 degrees")


def test_the_squarest_views_come_first(surface, video):
    poses = np.array([view.camera_from_video for view in surface.views])
    squareness = vertex_squareness(RayCaster(surface.mesh), video.frames, poses)
    best = np.sort(squareness, axis=0)[::-1][:4].T
    assert (surface.feature_valid == (best > 0)).all()


def test_near_vertices_have_alike_features_and_far_ones_do_not(surface):
    mean, vertices = surface.mean_features, surface.mesh.vertices
    similarity = mean @ mean.T
    distance = np.linalg.norm(vertices[:, None] - vertices, axis=2)
    near = similarity[(distance > 0) & (distance < 0.1)].mean()
    assert near > similarity[distance > 0.5].mean() + 0.1


def test_a_recording_of_one_side_is_refused_with_what_to_record(video):
    front = dataclasses.replace(video, frames=[video.frames[index] for index in (0, 1, 2, 12, 13, 14)])
    with pytest.raises(SurfposeError, match=r"grade F: 90 degrees.*go all the way round"):
        reconstruct(front, load_backbone(), SMALL)


def test_an_object_that_leaves_the_picture_is_refused_with_what_to_record(video):
    def cut(frame):
        camera = frame.camera.cropped(40, 0, 80, 120, 1.0)
        return dataclasses.replace(frame, image=frame.image[:, 40:], mask=frame.mask[:, 40:], camera=camera)

    with pytest.raises(SurfposeError, match="keep the whole object in the picture"):
        reconstruct(changed(video, cut), load_backbone(), SMALL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: dataclasses.replace(frame, mask=None), "no masks; record a mask topic"),
        (
            lambda frame: dataclasses.replace(frame, mask=np.zeros_like(frame.mask)),
            "only 0 of 24 frames have a mask with an object",
        ),
        (
            lambda frame: dataclasses.replace(frame, mask=np.ones_like(frame.mask)),
            "only 0 of 24 frames have a mask with an object",
        ),
        (lambda frame: dataclasses.replace(frame, camera_from_video=None), "no camera poses"),
    ],
)
def test_videos_without_masks_or_poses_say_what_to_record(video, change, reason):
    with pytest.raises(SurfposeError, match=reason):
        reconstruct(changed(video, change), load_backbone(), SMALL)


def test_a_batch_goes_on_past_a_bad_capture_and_keeps_what_has_not_changed(video, tmp_path):
    write_capture(tmp_path / "good", video)
    with CaptureWriter(tmp_path / "bad", CaptureInfo("thing")):
        pass
    captures, out = [tmp_path / "bad", tmp_path / "good"], tmp_path / "surfaces"
    report = reconstruct_captures(captures, out, SMALL)
    assert (report.made, report.kept) == (["good"], [])
    assert "the bag is empty" in report.failed[str(tmp_path / "bad")]
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(files) == {"good.ply", "good.png", "good.safetensors"}
    assert reconstruct_captures(captures, out, SMALL).kept == ["good"]
    assert reconstruct_captures(captures, out, dataclasses.replace(SMALL, views_kept=2)).made == ["good"]
    assert reconstruct_captures(captures, out, SMALL).made == ["good"]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files
    assert len(load_surface(out, "good").views) == 24


def test_the_command_names_the_bad_capture_and_exits_with_1(video, tmp_path):
    from surfpose_ros.cli.reconstruct import app

    with CaptureWriter(tmp_path / "bad", CaptureInfo("thing")):
        pass
    result = CliRunner().invoke(app, [str(tmp_path / "bad"), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert content["made"] == []
    assert "record it again" in content["failed"][str(tmp_path / "bad")]


def test_the_picture_shows_frames_cameras_and_mesh(surface, video):
    picture = surface_picture(surface, video)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1200, 3)
    assert np.array_equal(picture, surface_picture(surface, video))
    mesh_tile = cv2.cvtColor(picture[-200:, -200:], cv2.COLOR_RGB2HSV)
    assert (mesh_tile[..., 1] > 40).mean() > 0.1


def test_long_notes_go_on_in_the_next_line_of_the_picture(surface, video):
    words = ["grade", "C:", *["advice"] * 60]
    picture = surface_picture(dataclasses.replace(surface, notes=(" ".join(words),)), video)
    header = picture[:-400]
    assert len(header) >= 84
    assert header[:, -6:].min() == 255, "a line runs into the right edge"
