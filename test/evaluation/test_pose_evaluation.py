import csv
import io

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.metrics import rotation_error
from surfpose_ros.evaluation.pose import (
    LabelFrame,
    box_source,
    compare,
    constant_guess,
    evaluate_poses,
)
from surfpose_ros.evaluation.pose_tables import confusion_table, outcomes_csv, pose_figures, pose_tables
from surfpose_ros.evaluation.samples import PoseSample, spread
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.pose.detection import Detection, PoseHypothesis, PoseResult


def viewed(azimuth_deg, elevation_deg=10.0):
    angles = [
        torch.deg2rad(torch.tensor(float(a), dtype=torch.float64)) for a in (azimuth_deg, elevation_deg, 0)
    ]
    return camera_from_object_views(*angles).numpy()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint8))
    return path


def detection(*rotations, box=(0, 0, 10, 10), score=0.9, translation=(0, 0, 1), size=(0.2, 0.1, 0.1)):
    hypotheses = []
    for rotation in rotations:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, translation
        hypotheses.append(PoseHypothesis(pose, 1 / len(rotations), np.eye(6)))
    return Detection("car", score, box, tuple(hypotheses), np.array(size), True)


def turn(degrees):
    return Rotation.from_euler("z", degrees, degrees=True).as_matrix()


def test_the_camera_of_a_sample_stands_where_its_azimuth_says(picture):
    for azimuth in (0, 45, 180, 359):
        assert PoseSample("a", picture, viewed(azimuth)).azimuth_deg == pytest.approx(azimuth)


def test_the_link_between_frames_is_undone_before_errors_are_taken(picture):
    canonical_from_label = Rotation.random(rng=0).as_matrix()
    truth = viewed(30)
    frame = LabelFrame(canonical_from_label, origin=np.array([0.0, 0.0, 0.05]))
    found = detection(
        truth @ canonical_from_label.T @ Rotation.from_euler("z", 4, degrees=True).as_matrix()
    )
    sample = PoseSample("a", picture, truth, translation=np.array([0, 0, 1.0]))
    outcome = compare(sample, found, frame)
    assert outcome.error_deg == pytest.approx(4, abs=1e-5)
    assert outcome.translation_m == pytest.approx(0.05)


def test_a_flip_is_seen_as_one_and_its_rival_is_right(picture):
    sample = PoseSample("a", picture, viewed(30))
    outcome = compare(sample, detection(viewed(30) @ turn(178), viewed(30)), LabelFrame())
    assert outcome.error_deg == pytest.approx(178, abs=1e-4)
    assert outcome.heading_deg == pytest.approx(178) and outcome.rival_deg == pytest.approx(0, abs=1e-5)
    forgiven = compare(sample, detection(viewed(30) @ turn(178)), LabelFrame(symmetry=Symmetry(2)))
    assert forgiven.symmetric_deg == pytest.approx(2, abs=1e-4)


def test_where_boxes_come_from_if_nobody_says(picture):
    bare, matrix = PoseSample("a", picture, np.eye(3)), np.eye(3)
    assert box_source([bare]) == "image"
    assert box_source([PoseSample("a", picture, np.eye(3), matrix=matrix)]) == "search"
    assert box_source([PoseSample("a", picture, np.eye(3), matrix=matrix, box=(0, 0, 1, 1))]) == "labels"
    assert box_source([PoseSample("a", picture, np.eye(3), matrix=matrix), bare]) == "image"


def test_the_estimator_gets_the_boxes_that_were_asked_for(picture):
    seen = []

    def estimator(image, camera, boxes):
        seen.append((image.shape, camera, None if boxes is None else boxes.tolist()))
        return PoseResult((), 0.0, "nothing", {})

    matrix = np.array([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]])
    sample = PoseSample("a", picture, np.eye(3), matrix=matrix, box=(1, 2, 3, 4))
    for boxes in ("image", "labels", "search"):
        outcome = evaluate_poses(estimator, [sample], LabelFrame(), boxes)[0]
        assert outcome.detection is None and np.isnan(outcome.error_deg)
    assert [boxes for _, _, boxes in seen] == [[[0, 0, 60, 40]], [[1, 2, 3, 4]], None]
    assert seen[0][0] == (40, 60, 3) and (seen[0][1].width, seen[0][1].height) == (60, 40)


def test_a_searching_model_is_judged_where_the_object_is(picture):
    wrong_place = detection(viewed(0), box=(40, 20, 10, 10), score=0.95)
    right_place = detection(viewed(90), box=(1, 1, 10, 10), score=0.6)

    def estimator(image, camera, boxes):
        return PoseResult((wrong_place, right_place), 0.95, "", {})

    sample = PoseSample("a", picture, viewed(90), box=(0, 0, 10, 10))
    outcome = evaluate_poses(estimator, [sample], LabelFrame(), "search")[0]
    assert outcome.detection is right_place and outcome.error_deg == pytest.approx(0, abs=1e-5)
    figures = pose_figures([outcome])["detection"]
    assert (figures["detections"], figures["precision30"], figures["recall30"]) == (2, 0.5, 1.0)
    assert figures["average_precision30"] == 0.5  # the surer one was wrong


def test_no_samples_and_no_boxes_are_said(picture):
    with pytest.raises(SurfposeError, match="no image"):
        evaluate_poses(lambda *_: None, [], LabelFrame())
    with pytest.raises(SurfposeError, match="no box"):
        evaluate_poses(lambda *_: None, [PoseSample("a", picture, np.eye(3))], LabelFrame(), "labels")


def test_figures_and_tables_of_known_outcomes(picture):
    turns = [0, 5, 12, 20, 178]
    samples = [
        PoseSample(str(i), picture, viewed(0 if i < 3 else 90), occlusion="none" if i else "half")
        for i in range(6)
    ]
    found = [
        detection(viewed(s.azimuth_deg) @ turn(t), score=1 - t / 200)
        for s, t in zip(samples, turns, strict=False)
    ]
    outcomes = [compare(s, d, LabelFrame()) for s, d in zip(samples, [*found, None], strict=True)]
    figures = pose_figures(outcomes)
    assert figures["n"] == 6 and figures["found"] == pytest.approx(5 / 6)
    assert figures["acc30"] == pytest.approx(4 / 6) and figures["acc10"] == pytest.approx(2 / 6)
    assert figures["flips"] == pytest.approx(1 / 6)
    assert figures["surest_half"]["acc15"] == 1.0
    assert figures["constant_guess"]["acc30"] == pytest.approx(0.5)
    tables = {table.title: table for table in pose_tables(outcomes)}
    titles = {title.split(",")[0] for title in tables}
    assert titles == {"Rotation", "By direction of view", "Which side was taken for which", "By occlusion"}
    confusion = {row[0]: row[1:] for row in confusion_table(outcomes).rows}
    assert confusion["front"] == [3, 100.0, 0.0, 0.0, 0.0, 0.0]
    assert confusion["left"] == pytest.approx([3, 0, 100 / 3, 0, 100 / 3, 100 / 3])
    rows = list(csv.DictReader(io.StringIO(outcomes_csv(outcomes))))
    assert (
        len(rows) == 6 and rows[5]["error_deg"] == "" and float(rows[2]["error_deg"]) == pytest.approx(12)
    )


def test_translations_and_sizes_bring_their_own_figures(picture):
    sample = PoseSample(
        "a", picture, viewed(0), translation=np.array([0, 0, 1.0]), size=np.array([0.2, 0.1, 0.1])
    )
    near = compare(sample, detection(viewed(0) @ turn(3), translation=(0, 0.01, 1)), LabelFrame())
    far = compare(sample, detection(viewed(0) @ turn(3), translation=(0, 0.08, 1)), LabelFrame())
    figures = pose_figures([near, far, compare(sample, None, LabelFrame())])["translation"]
    assert figures["5deg_5cm"] == pytest.approx(1 / 3) and figures["10deg_10cm"] == pytest.approx(2 / 3)
    assert figures["5_percent"] == pytest.approx(1 / 3)
    assert figures["iou50"] == pytest.approx(1 / 3)
    assert figures["median_m"] == pytest.approx(0.045)
    nearest = compare(sample, detection(viewed(0), translation=(0, 0.005, 1)), LabelFrame())
    assert pose_figures([nearest, far])["translation"]["1_percent"] == pytest.approx(1 / 2)


def test_points_of_the_object_are_as_far_off_as_the_pose_is_whatever_the_labels_frame(picture):
    generator = np.random.default_rng(0)
    link = LabelFrame(
        Rotation.random(rng=generator).as_matrix(),
        origin=np.array([0.01, 0.02, -0.03]),
        points=generator.normal(size=(500, 3)),
    )
    size = np.array([0.2, 0.1, 0.1])
    found = detection(viewed(20), translation=(0, 0, 1), size=size)
    true = link.camera_from_label(found.hypotheses[0].camera_from_object)
    shifted = true[:3, 3] + [0.02, 0, 0]
    sample = PoseSample("a", picture, true[:3, :3], translation=shifted, size=size)
    outcome = compare(sample, found, link)
    assert outcome.add == pytest.approx(0.02 / np.linalg.norm(size))
    assert outcome.adds <= outcome.add + 1e-9
    back = link.camera_from_canonical(link.camera_from_label(true))
    np.testing.assert_allclose(back, true, atol=1e-12)
    figures = pose_figures([outcome, compare(sample, None, link)])["translation"]
    assert (figures["add10"], figures["adds10"]) == (0.5, 0.5)


def test_the_constant_guess_is_the_best_single_rotation():
    generator = np.random.default_rng(0)
    crowd = Rotation.from_rotvec(0.1 * generator.normal(size=(30, 3)))
    others = Rotation.random(20, rng=generator)
    rotations = Rotation.concatenate([crowd, others]).as_matrix()
    errors = constant_guess(rotations)
    best = max((rotation_error(rotations, r) < 30).mean() for r in rotations)
    assert (errors < 30).mean() == best >= 0.6


def test_a_limit_takes_samples_from_all_over(picture):
    samples = [PoseSample(str(i), picture, np.eye(3)) for i in range(10)]
    assert [s.name for s in spread(samples, 3)] == ["0", "4", "9"]
    assert spread(samples, None) == samples
