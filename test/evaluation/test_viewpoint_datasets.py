"""PASCAL3D+, ObjectNet3D, ImageNet3D, StanfordCars3D and ETH-80 on files written as they are published."""

import csv
import os
import pickle

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given
from hypothesis import strategies as st

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.eth80 import read_eth80
from surfpose_ros.evaluation.datasets.imagenet3d import read_imagenet3d
from surfpose_ros.evaluation.datasets.pascal3d import read_objectnet3d, read_pascal3d
from surfpose_ros.evaluation.datasets.stanford_cars3d import read_stanford_cars3d
from surfpose_ros.evaluation.datasets.viewpoints import intrinsics, rotation_from_angles
from surfpose_ros.evaluation.metrics import rotation_error
from surfpose_ros.geometry.rotations import rotation_from_quaternion

ANGLES = st.tuples(st.floats(0, 360), st.floats(-89, 89), st.floats(-180, 180))


def published_projection(points, azimuth, elevation, distance, theta, focal_px, principal):
    """How the toolboxes of PASCAL3D+ and ObjectNet3D draw a CAD model: written after their formulas."""
    a, e, t = np.deg2rad([azimuth, elevation, theta])
    centre = distance * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    turn, tip = -a, -(np.pi / 2 - e)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tip), -np.sin(tip)], [0, np.sin(tip), np.cos(tip)]])
    seen = (points - centre) @ (about_x @ about_z).T
    flat = focal_px * seen[:, :2] / -seen[:, 2:]
    rolled = flat @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]).T
    return rolled * [1, -1] + principal


@given(ANGLES, st.integers(0, 100))
def test_our_camera_draws_where_the_authors_draw(angles, seed):
    theirs = np.random.default_rng(seed).uniform(-0.5, 0.5, (10, 3))
    ours = np.stack([-theirs[:, 1], theirs[:, 0], theirs[:, 2]], axis=1)  # x front, y left, z up
    rotation = rotation_from_angles(*angles)
    seen = ours @ rotation.T + [0, 0, 5.0]
    pixels = seen @ intrinsics(3000, 210.0, 130.0).T
    pixels = pixels[:, :2] / pixels[:, 2:]
    azimuth, elevation, theta = angles
    drawn = published_projection(theirs, azimuth, elevation, 5.0, theta, 3000, [210.0, 130.0])
    np.testing.assert_allclose(pixels, drawn - 1, atol=1e-6)  # MATLAB's first pixel is (1, 1)


def viewpoint(azimuth=30.0, distance=5.0, **more):
    fields = {"azimuth": azimuth, "elevation": 10.0, "theta": 5.0, "distance": distance, "focal": 1.0}
    return {**fields, "px": 50.0, "py": 40.0, "viewport": 3000.0, **more}


def object_entry(category="car", view=None, **flags):
    flags = {"occluded": 0, "truncated": 0, "difficult": 0, **flags}
    box = np.array([11.0, 21.0, 60.0, 70.0])
    return {"class": category, "bbox": box, "cad_index": 3, "viewpoint": view or viewpoint(), **flags}


def write_record(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = list(objects[0])
    array = np.zeros((1, len(objects)), dtype=[(name, object) for name in fields])
    for column, entry in enumerate(objects):
        array[0, column] = tuple(entry[name] for name in fields)
    scipy.io.savemat(path, {"record": {"filename": path.stem, "objects": array}})


def write_image(path, shape=(100, 120, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path.with_suffix(".jpg")), np.zeros(shape, np.uint8))
    path.with_suffix(".jpg").rename(path)


def write_list(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def pascal3d(tmp_path):
    write_list(tmp_path / "Image_sets" / "sofa_imagenet_val.txt", "n01", "n02")
    coarse_only = object_entry("sofa", viewpoint(distance=0.0))
    annotations = tmp_path / "Annotations" / "sofa_imagenet"
    write_record(annotations / "n01.mat", object_entry("sofa"), object_entry("chair"), coarse_only)
    write_record(annotations / "n02.mat", object_entry("sofa", viewpoint(100.0), occluded=1, truncated=1))
    for name in ("n01", "n02"):
        write_image(tmp_path / "Images" / "sofa_imagenet" / f"{name}.JPEG")
    return tmp_path


def test_pascal3d_in_our_names_and_frames(pascal3d):
    samples = read_pascal3d(pascal3d, "couch")
    assert [sample.name for sample in samples] == ["sofa_imagenet/n01#1", "sofa_imagenet/n02#1"]
    first, second = samples
    assert first.category == "couch" and first.azimuth_deg == pytest.approx(30)
    assert first.box == (9.5, 19.5, 50, 50) and first.occlusion == "fully visible"
    np.testing.assert_allclose(first.matrix, [[3000, 0, 49], [0, 3000, 39], [0, 0, 1]])
    assert second.occlusion == "occluded and truncated" and second.azimuth_deg == pytest.approx(100)
    assert first.read()[0].shape == (100, 120, 3)


def test_pascal_vocs_own_lists_mark_absent_categories(tmp_path):
    sets = tmp_path / "PASCAL" / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main"
    write_list(sets / "car_val.txt", "2008_000001 -1", "2008_000002  1")
    write_record(
        tmp_path / "Annotations" / "car_pascal" / "2008_000002.mat", object_entry(), object_entry()
    )
    write_image(tmp_path / "Images" / "car_pascal" / "2008_000002.jpg")
    assert len(read_pascal3d(tmp_path, "car", source="pascal")) == 2
    assert len(read_pascal3d(tmp_path, "car", source="pascal", first_only=True)) == 1


def test_missing_parts_of_pascal3d_are_named_with_their_source(pascal3d, tmp_path):
    with pytest.raises(SurfposeError, match=r"car_imagenet_val.txt: .* missing; get it from https"):
        read_pascal3d(pascal3d, "car")
    (pascal3d / "Images" / "sofa_imagenet" / "n02.JPEG").unlink()
    with pytest.raises(SurfposeError, match=r"labels .*n02.JPEG, which is not there"):
        read_pascal3d(pascal3d, "couch")
    (pascal3d / "Annotations" / "sofa_imagenet" / "n01.mat").write_bytes(b"not a mat file")
    with pytest.raises(SurfposeError, match=r"n01.mat: no annotation"):
        read_pascal3d(pascal3d, "couch")
    with pytest.raises(SurfposeError, match="the folder of annotations is missing"):
        read_pascal3d(tmp_path / "elsewhere", "car")


def test_a_name_listed_twice_and_a_viewpoint_that_is_not_finite_are_refused(pascal3d):
    annotations = pascal3d / "Annotations" / "sofa_imagenet"
    write_record(annotations / "n02.mat", object_entry("sofa", viewpoint(np.nan)))
    with pytest.raises(SurfposeError, match=r"n02.mat: object 1: the viewpoint is not finite"):
        read_pascal3d(pascal3d, "couch")
    write_list(pascal3d / "Image_sets" / "sofa_imagenet_val.txt", "n01", "n01")
    with pytest.raises(SurfposeError, match="n01 is listed twice"):
        read_pascal3d(pascal3d, "couch")


def test_objectnet3d_takes_the_coarse_angles_where_the_fine_ones_are_empty(tmp_path):
    write_list(tmp_path / "Image_sets" / "test.txt", "n01", "n02")
    coarse = viewpoint(np.zeros((0, 0)), azimuth_coarse=90.0, elevation_coarse=0.0)
    write_record(tmp_path / "Annotations" / "n01.mat", object_entry("remote_control", coarse))
    write_record(tmp_path / "Annotations" / "n02.mat", object_entry("cup"))
    write_image(tmp_path / "Images" / "n01.JPEG")
    (sample,) = read_objectnet3d(tmp_path, "remote")
    assert sample.azimuth_deg == pytest.approx(90) and sample.category == "remote"
    with pytest.raises(SurfposeError, match=r"labels .*n02.JPEG"):
        read_objectnet3d(tmp_path, "cup")


def imagenet3d_entry(**changes):
    return {
        "azimuth": np.deg2rad(30.0), "elevation": np.deg2rad(10.0), "theta": np.deg2rad(5.0),
        "cad_index": 2,
        "distance": 4.0, "viewport": 2000, "height": np.uint16(100), "width": np.uint16(120),
        "ignore": 0,
        "bbox": np.array([10.0, 20.0, 60.0, 70.0]), "class": "bed", "px": 50.0, "py": 40.0,
        "object_status": "status_partially", "dense": "dense_no", **changes,
    }  # fmt: skip


def write_imagenet3d(root, *entries):
    write_list(root / "lists" / "bed_imagenet_val.txt", "n1")
    write_image(root / "images" / "bed" / "n1.JPEG")
    (root / "annotations" / "bed").mkdir(parents=True, exist_ok=True)
    np.savez(root / "annotations" / "bed" / "n1.npz", annotations=list(entries))


def test_imagenet3d_agrees_with_pascal3d_on_the_same_angles(tmp_path):
    write_imagenet3d(
        tmp_path, imagenet3d_entry(), imagenet3d_entry(ignore=1), imagenet3d_entry(distance=0.0)
    )
    (sample,) = read_imagenet3d(tmp_path, "bed")
    assert rotation_error(sample.rotation, rotation_from_angles(30, 10, 5)) < 1e-5
    assert sample.box == (10, 20, 50, 50) and sample.occlusion == "partly hidden"
    np.testing.assert_allclose(sample.matrix, [[2000, 0, 50], [0, 2000, 40], [0, 0, 1]])


class Harmful:
    def __reduce__(self):
        return os.system, ("echo never",)


def test_labels_that_would_run_code_are_refused(tmp_path):
    write_imagenet3d(tmp_path, imagenet3d_entry(theta=Harmful()))
    with pytest.raises(SurfposeError, match="no plain data"):
        read_imagenet3d(tmp_path, "bed")
    (tmp_path / "annotations" / "bed" / "n1.npz").write_bytes(b"PK broken")
    with pytest.raises(SurfposeError, match=r"no \.npz"):
        read_imagenet3d(tmp_path, "bed")


def write_stanford(root, labels, images=()):
    path = root / "Anno3D" / "StanfordCars" / "train_anno_v2.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(labels, protocol=0))
    for name in images:
        write_image(root / "Image" / "StanfordCars" / "cars_train" / name)


def car_label(azimuth, elevation, theta):
    angles = {"azimuth": azimuth, "elevation": elevation, "theta": theta}
    return {**angles, "distance": 1.1, "u": 26.0, "v": -21.0, "f": 366.4, "model_id": "abc"}


def test_stanford_cars3d_agrees_with_an_independent_reading_of_the_same_label(tmp_path):
    # Angles of 00007.jpg in the published file; the quaternion was worked out by somebody else.
    write_stanford(tmp_path, {"00007.jpg": car_label(1.195665, 0.152638, 0.031416)}, ["00007.jpg"])
    (sample,) = read_stanford_cars3d(tmp_path)
    reference = torch.tensor([0.374901, 0.417277, 0.633958, -0.532378], dtype=torch.float64)
    assert rotation_error(sample.rotation, rotation_from_quaternion(reference).numpy()) < 0.01
    assert sample.group == "abc"


def test_stanford_cars3d_is_drawn_as_published_for_the_mirrored_model(tmp_path):
    azimuth, elevation, theta = 0.7, 0.2, 0.1
    write_stanford(tmp_path, {"1.jpg": car_label(azimuth, elevation, theta)}, ["1.jpg"])
    rotation = read_stanford_cars3d(tmp_path)[0].rotation
    cos, sin = np.cos, np.sin
    about_y = [[cos(azimuth), 0, -sin(azimuth)], [0, 1, 0], [sin(azimuth), 0, cos(azimuth)]]
    about_x = [[1, 0, 0], [0, cos(elevation), -sin(elevation)], [0, sin(elevation), cos(elevation)]]
    about_z = [[cos(theta), -sin(theta), 0], [sin(theta), cos(theta), 0], [0, 0, 1]]
    cad = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 3))  # y up
    seen = cad @ (np.array(about_z) @ about_x @ about_y).T - [0, 0, 2.0]
    drawn = 300 * seen[:, :2] / seen[:, 2:]
    ours = cad[:, [0, 2, 1]] @ rotation.T + [0, 0, 2.0]  # the swap of two axes mirrors the model
    np.testing.assert_allclose(300 * ours[:, :2] / ours[:, 2:], drawn, atol=1e-9)


def test_stanford_cars3d_without_its_image_or_with_a_nan(tmp_path):
    write_stanford(
        tmp_path, {"1.jpg": car_label(0.1, 0.1, 0.0), "2.jpg": car_label(np.nan, 0, 0)}, ["1.jpg"]
    )
    with pytest.raises(SurfposeError, match=r"the pose of 2\.jpg is not finite"):
        read_stanford_cars3d(tmp_path)
    with pytest.raises(SurfposeError, match="the test annotation is missing"):
        read_stanford_cars3d(tmp_path, split="test")


def test_eth80_agrees_with_the_labels_beside_the_project(tmp_path, shared_data):
    with (shared_data / "eth80" / "frames.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["video"] == "car01"]
    for row in rows:
        write_image(tmp_path / "car1" / f"car1-{int(row['polar_deg']):03}-{int(row['azimuth_deg']):03}.png")
    samples = {sample.name: sample for sample in read_eth80(tmp_path, "car")}
    assert len(samples) == len(rows) == 41
    for row in rows:
        sample = samples[f"car1/car1-{int(row['polar_deg']):03}-{int(row['azimuth_deg']):03}.png"]
        quaternion = torch.tensor(
            [float(row[key]) for key in ("qw", "qx", "qy", "qz")], dtype=torch.float64
        )
        assert rotation_error(sample.rotation, rotation_from_quaternion(quaternion).numpy()) < 0.01


def test_eth80_without_pictures_says_how_they_are_named(tmp_path):
    with pytest.raises(SurfposeError, match=r"car1-045-090\.png"):
        read_eth80(tmp_path, "car")
