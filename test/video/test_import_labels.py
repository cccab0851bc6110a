import filecmp

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.rotations import quaternion_from_rotation, rotation_angle
from surfpose_ros.video.bag import read_messages
from surfpose_ros.video.capture import read_info
from surfpose_ros.video.import_labels import import_labels
from surfpose_ros.video.labels import read_labels
from surfpose_ros.video.reader import read_capture

from .recordings import CAMERA, brick, camera_from_base, picture, turned

HEADER = "category,video,image,mask,qw,qx,qy,qz"


def poses(count: int = 6) -> list[np.ndarray]:
    return [camera_from_base() @ turned(2 * np.pi * index / count) for index in range(count)]


@pytest.fixture
def dataset(tmp_path):
    """Two videos of one brick with a labels CSV; returns the root folder and the CSV's lines."""
    root = tmp_path / "data"
    lines = [HEADER]
    for video in ("a", "b"):
        (root / video).mkdir(parents=True)
        for index, pose in enumerate(poses()):
            image, mask = picture(brick(), pose)
            name = f"{video}/{index}"
            cv2.imwrite(str(root / f"{name}.jpg"), image[..., ::-1])
            cv2.imwrite(str(root / f"{name}_mask.png"), mask * np.uint8(255))
            quaternion = quaternion_from_rotation(torch.from_numpy(pose[:3, :3])).tolist()
            cells = ",".join(f"{number:.9f}" for number in quaternion)
            lines.append(f"brick,{video},{name}.jpg,{name}_mask.png,{cells}")
    return root, lines


def write(root, lines, name="frames.csv"):
    path = root / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_video_becomes_a_capture_with_its_pictures_untouched(dataset, tmp_path):
    root, lines = dataset
    folders = import_labels(write(root, lines), root, tmp_path / "out")
    assert [folder.name for folder in folders] == ["a", "b"]
    info = read_info(folders[0])
    assert (info.category, info.pose_source, info.poses_exact, info.metric) == (
        "brick",
        "dataset",
        False,
        False,
    )
    assert [frame.image for frame in info.frames] == [f"a/{index}.jpg" for index in range(6)]
    first = next(iter(read_messages(folders[0], [info.topics["image"]])))
    assert first.content.data.tobytes() == (root / "a/0.jpg").read_bytes()
    video = read_capture(folders[0])
    assert [frame.name for frame in video.frames] == [f"a/{index}.jpg" for index in range(6)]
    assert np.array_equal(video.frames[2].mask, picture(brick(), poses()[2])[1])


def test_relative_rotations_stay_and_the_common_frame_is_gone(dataset, tmp_path):
    root, lines = dataset
    folders = import_labels(write(root, lines), root, tmp_path / "out")
    truth = torch.tensor(np.array(poses()))[:, :3, :3]
    frames = []
    for folder in folders:
        found = torch.tensor(np.array([frame.camera_from_video for frame in read_capture(folder).frames]))
        # camera_from_video^-1 camera_from_object is the same for all frames of a video.
        video_from_object = found[:, :3, :3].transpose(1, 2) @ truth
        assert rotation_angle(video_from_object, video_from_object[:1]).max() < 1e-6
        frames.append(video_from_object[0])
    assert rotation_angle(frames[0], torch.eye(3, dtype=torch.float64)) > 0.2
    assert rotation_angle(frames[0], frames[1]) > 0.2


def test_the_same_seed_makes_the_same_bytes_and_another_seed_another_frame(dataset, tmp_path):
    root, lines = dataset
    csv = write(root, lines)
    one, two, other = (
        import_labels(csv, root, tmp_path / name, seed=seed)[0]
        for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    names = sorted(path.name for path in one.iterdir())
    assert filecmp.cmpfiles(one, two, names, shallow=False)[0] == names
    assert not filecmp.cmp(one / "a.mcap", other / "a.mcap", shallow=False)


@pytest.mark.parametrize("metric", [False, True])
def test_translations_and_intrinsics_of_the_labels_are_used(dataset, tmp_path, metric):
    root, lines = dataset
    lines[0] += ",tx,ty,tz,fx,fy,cx,cy"
    for index, line in enumerate(lines[1:], start=1):
        shift = ",".join(str(number) for number in poses()[(index - 1) % 6][:3, 3])
        lines[index] = f"{line},{shift},150,150,47.5,35.5"
    folder = import_labels(write(root, lines), root, tmp_path / "out", metric=metric)[0]
    video = read_capture(folder)
    assert video.poses_exact
    assert video.metric is metric
    assert np.allclose(video.frames[0].camera.matrix, CAMERA.matrix)
    distances = [np.linalg.norm(frame.camera_from_video[:3, 3]) for frame in video.frames]
    centres = np.array(
        [-frame.camera_from_video[:3, :3].T @ frame.camera_from_video[:3, 3] for frame in video.frames]
    )
    truth = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in poses()])
    scale = np.linalg.norm(centres[0] - centres[3]) / np.linalg.norm(truth[0] - truth[3])
    assert np.linalg.norm(centres[1] - centres[2]) == pytest.approx(
        scale * np.linalg.norm(truth[1] - truth[2])
    )
    assert (abs(scale - 1) < 1e-6) == metric
    assert min(distances) > 0


def test_bad_labels_each_have_their_message(dataset):
    root, lines = dataset
    first = lines[1].split(",")

    def row(**changes):
        cells = dict(zip(HEADER.split(","), first, strict=True)) | changes
        return ",".join(cells[name] for name in HEADER.split(","))

    cases = {
        "not separated by commas": [line.replace(",", ";") for line in lines],
        "column 'qz' is missing": [line.rsplit(",", 1)[0] for line in lines],
        "is on line 2 already": [*lines, lines[1]],
        "qx is nan, not a finite number": [HEADER, row(qx="nan")],
        "qy is 'left', not a number": [HEADER, row(qy="left")],
        "is no rotation: its length is": [HEADER, row(qw="3.0")],
        "has no rotation": [HEADER, row(qw="", qx="", qy="", qz="")],
        "does not exist; is --root": [HEADER, row(image="a/none.jpg")],
        "leads out of the folder": [HEADER, row(image="../../secret.jpg")],
        "the image cell is empty": [HEADER, row(image="")],
        "another number of cells": [HEADER, row() + ",1,2"],
        "has a header but no rows": [HEADER],
        "empty; the first line": [],
        "is there twice": [HEADER + ",qw", row() + ",1"],
    }
    for reason, content in cases.items():
        path = write(root, content) if content else root / "frames.csv"
        if not content:
            path.write_text("")
        with pytest.raises(SurfposeError, match=reason) as error:
            read_labels(path, root)
        assert "\n" not in str(error.value)
    with pytest.raises(SurfposeError, match="no such labels CSV"):
        read_labels(root / "none.csv", root)
    with pytest.raises(SurfposeError, match="--root is what"):
        read_labels(write(root, lines), root / "none")


def test_import_refuses_other_categories_empty_masks_and_foreign_folders(dataset, tmp_path):
    root, lines = dataset
    csv = write(root, lines)
    with pytest.raises(SurfposeError, match="no category 'cup'; it has brick"):
        import_labels(csv, root, tmp_path / "out", category="cup")
    (tmp_path / "taken" / "a").mkdir(parents=True)
    with pytest.raises(SurfposeError, match="exists and was not imported"):
        import_labels(csv, root, tmp_path / "taken")
    cv2.imwrite(str(root / "a/3_mask.png"), np.zeros((72, 96), np.uint8))
    with pytest.raises(SurfposeError, match=r"3_mask.png: the mask is all background"):
        import_labels(csv, root, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()
