"""Objectron on a label and a video written by the test, as `annotation_data.proto` describes them."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets import objectron
from surfpose_ros.evaluation.datasets.registry import read_dataset

pytest.importorskip("google.protobuf")

VIDEO = "cup/batch-1/2"
WIDTH, HEIGHT = 90, 120
# OpenGL, of the landscape picture: focal lengths 1.5 and 2 half-heights and half-widths, off centre.
PROJECTION = np.array([[1.5, 0, 0.05, 0], [0, 2.0, -0.03, 0], [0, 0, -1, -0.2], [0, 0, -1, 0]])


def pose(seed, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=seed).as_matrix()
    matrix[:3, 3] = shift
    return matrix


VIEW = pose(1, [0.1, 0.2, -1.5])
BOX = pose(2, [0.02, 0.03, 0.01])
SCALE = np.array([0.08, 0.12, 0.1])  # along their x (left), y (up), z (front)


def write(root, view=VIEW, visibility=1.0):
    sequence = objectron._messages()["Sequence"]()
    box = sequence.objects.add(id=0, category="cup")
    box.rotation.extend(BOX[:3, :3].ravel())
    box.translation.extend(BOX[:3, 3])
    box.scale.extend(SCALE)
    for number in range(4):
        frame = sequence.frame_annotations.add(frame_id=number)
        frame.annotations.add(object_id=0, visibility=visibility)
        frame.camera.view_matrix.extend(np.ravel(view))
        frame.camera.projection_matrix.extend(PROJECTION.ravel())
    label = root / "annotations" / f"{VIDEO}.pbdata"
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_bytes(sequence.SerializeToString())
    movie = root / "videos" / VIDEO / "video.MOV"
    movie.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(movie), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for number in range(4):
        writer.write(np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8))
    writer.release()


def published_pixels(points):
    """As the authors' geometry tutorial projects world points onto the upright picture."""
    clip = PROJECTION @ VIEW @ np.column_stack([points, np.ones(len(points))]).T
    ndc = clip[:2] / clip[3]
    return np.stack([(1 + ndc[1]) / 2 * WIDTH, (1 + ndc[0]) / 2 * HEIGHT], axis=1)


def test_boxes_are_drawn_where_the_authors_draw_them(tmp_path):
    write(tmp_path)
    samples = objectron.read_objectron(tmp_path, VIDEO, tmp_path / "frames", every=2)
    assert [sample.name for sample in samples] == [f"{VIDEO}/000000#0", f"{VIDEO}/000002#0"]
    sample = samples[1]
    image, camera = sample.read()
    assert image.shape == (HEIGHT, WIDTH, 3) and abs(int(image.mean()) - 80) < 8
    theirs = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 3)) * SCALE
    world = theirs @ BOX[:3, :3].T + BOX[:3, 3]
    ours = theirs[:, [2, 0, 1]]  # x front, y left, z up
    seen = ours @ sample.rotation.T + sample.translation
    pixels = seen @ camera.matrix.T
    assert (seen[:, 2] > 0).all()
    np.testing.assert_allclose(pixels[:, :2] / pixels[:, 2:], published_pixels(world) - 0.5, atol=1e-4)
    np.testing.assert_allclose(sample.size, SCALE[[2, 0, 1]], atol=1e-6)
    assert sample.category == "cup"


def test_the_downloaded_videos_of_a_split_are_read_by_the_name_of_the_data_set(tmp_path):
    index = tmp_path / "v1" / "index" / "cup_annotations_test"
    with pytest.raises(SurfposeError, match="cup_annotations_test: the list of test videos is missing"):
        read_dataset("objectron", tmp_path, "cup")
    index.parent.mkdir(parents=True)
    index.write_text(f"{VIDEO}\ncup/batch-9/9\n")
    with pytest.raises(SurfposeError, match="none of the 2 videos of cup_annotations_test"):
        read_dataset("objectron", tmp_path, "cup")
    write(tmp_path)
    (sample,) = read_dataset("objectron", tmp_path, "cup")
    assert sample.name == f"{VIDEO}/000000#0"
    assert sample.path == tmp_path / "frames" / VIDEO / "000000.jpg"


def test_co3d_says_why_no_pose_can_be_scored_on_it(tmp_path):
    with pytest.raises(SurfposeError, match="paper-alignment"):
        read_dataset("co3d", tmp_path, "cup")


def test_hidden_objects_are_left_out(tmp_path):
    write(tmp_path, visibility=0.05)
    assert objectron.read_objectron(tmp_path, VIDEO, tmp_path / "frames", every=2) == []


def test_bad_objectron_is_said_in_one_line(tmp_path):
    with pytest.raises(SurfposeError, match=r"2\.pbdata: the annotation is missing; get it from"):
        objectron.read_objectron(tmp_path, VIDEO, tmp_path / "frames")
    write(tmp_path, view=np.full((4, 4), np.nan))
    with pytest.raises(SurfposeError, match="frame 0: a pose or camera is not 16 finite numbers"):
        objectron.read_objectron(tmp_path, VIDEO, tmp_path / "frames")
    (tmp_path / "annotations" / f"{VIDEO}.pbdata").write_bytes(b"\xff\xff broken")
    with pytest.raises(SurfposeError, match="cannot be read"):
        objectron.read_objectron(tmp_path, VIDEO, tmp_path / "frames")
