import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import bootstrap

from surfpose_ros.evaluation import metrics
from surfpose_ros.evaluation.boxes import box_corners, box_overlap_2d, box_overlap_3d
from surfpose_ros.evaluation.detections import detection_figures, match_detections
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry

SEEDS = st.integers(0, 10_000)


def random_pose(generator, shift=1.0):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=generator).as_matrix()
    pose[:3, 3] = generator.uniform(-shift, shift, 3)
    return pose


@given(SEEDS)
def test_rotation_error_agrees_with_scipy(seed):
    generator = np.random.default_rng(seed)
    a, b = Rotation.random(5, rng=generator), Rotation.random(5, rng=generator)
    expected = np.rad2deg((a.inv() * b).magnitude())
    np.testing.assert_allclose(metrics.rotation_error(a.as_matrix(), b.as_matrix()), expected, atol=1e-5)


def test_symmetric_error_agrees_with_trying_every_turn():
    generator = np.random.default_rng(0)
    a, b = Rotation.random(20, rng=generator), Rotation.random(20, rng=generator)
    turns = Rotation.create_group("C4", axis="Z")
    expected = [np.rad2deg((x * turns * y.inv()).magnitude()).min() for x, y in zip(a, b, strict=True)]
    error = metrics.rotation_error(a.as_matrix(), b.as_matrix(), Symmetry(4))
    np.testing.assert_allclose(error, expected, atol=1e-5)
    axis = metrics.rotation_error(a.as_matrix(), b.as_matrix(), Symmetry(CONTINUOUS))
    cosine = (a.as_matrix()[:, :, 2] * b.as_matrix()[:, :, 2]).sum(1)
    np.testing.assert_allclose(axis, np.rad2deg(np.arccos(cosine)), atol=1e-5)


@given(heading=st.floats(-179, 179), tilt=st.floats(0, 40), direction=st.floats(0, 360), seed=SEEDS)
def test_heading_error_is_the_turn_about_up_whatever_the_tilt(heading, tilt, direction, seed):
    true = Rotation.random(rng=np.random.default_rng(seed))
    across = np.deg2rad(tilt) * np.array([np.cos(direction), np.sin(direction), 0])
    estimated = true * Rotation.from_rotvec(across) * Rotation.from_euler("z", heading, degrees=True)
    error = float(metrics.heading_error(estimated.as_matrix(), true.as_matrix()))
    assert abs((error - heading + 180) % 360 - 180) < 1e-6


def test_no_pose_counts_as_the_worst_pose():
    figures = metrics.rotation_figures([1.0, 12.0, np.nan])
    assert figures["n"] == 3 and figures["acc30"] == pytest.approx(2 / 3)
    assert figures["acc10"] == pytest.approx(1 / 3) and figures["median_deg"] == 12.0
    assert figures["mean_deg"] == pytest.approx((1 + 12 + 180) / 3)
    assert metrics.rotation_figures([])["median_deg"] is None


@given(st.lists(st.floats(0, 180), min_size=1, max_size=30))
def test_area_under_the_curve_is_the_mean_accuracy_over_thresholds(errors):
    thresholds = np.linspace(0, 30, 3001)
    reference = (np.asarray(errors)[:, None] <= thresholds).mean()
    assert metrics.area_under_curve(errors, 30.0) == pytest.approx(reference, abs=2e-3)


def test_within_needs_both_rotation_and_translation():
    assert metrics.within([4.0, 4.0, 6.0, np.nan], [0.04, 0.06, 0.04, 0.0], 5, 0.05) == 0.25


@given(SEEDS)
def test_average_distances_agree_with_the_definition(seed):
    generator = np.random.default_rng(seed)
    a, b, points = random_pose(generator), random_pose(generator), generator.normal(size=(40, 3))
    there = [a[:3, :3] @ p + a[:3, 3] for p in points]
    wanted = [b[:3, :3] @ p + b[:3, 3] for p in points]
    add = np.mean([np.linalg.norm(x - y) for x, y in zip(there, wanted, strict=True)])
    adds = np.mean([min(np.linalg.norm(x - y) for x in there) for y in wanted])
    assert metrics.average_distance(a, b, points) == pytest.approx(add)
    assert metrics.average_nearest_distance(a, b, points) == pytest.approx(adds)


def test_the_bootstrap_with_one_sample_an_object_is_scipys():
    values = np.random.default_rng(0).normal(size=60)
    low, high = metrics.bootstrap_interval(values, range(60), np.mean, resamples=4000)
    reference = bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.03)


def test_objects_that_err_together_give_a_wider_interval():
    values = np.repeat(np.random.default_rng(0).normal(size=10), 20)
    together = metrics.bootstrap_interval(values, np.repeat(np.arange(10), 20).tolist(), np.mean)
    singly = metrics.bootstrap_interval(values, range(200), np.mean)
    assert together[1] - together[0] > 2 * (singly[1] - singly[0])
    with pytest.raises(ValueError, match="one group a value"):
        metrics.bootstrap_interval([1.0], [], np.mean)


@settings(max_examples=25)
@given(SEEDS)
def test_box_overlap_agrees_with_counting_random_points(seed):
    generator = np.random.default_rng(seed)
    a, b = random_pose(generator, 0.3), random_pose(generator, 0.3)
    size_a, size_b = generator.uniform(0.3, 1.5, 3), generator.uniform(0.3, 1.5, 3)
    points = generator.uniform(-2, 2, (40_000, 3))

    def inside(pose, size):
        return (np.abs((points - pose[:3, 3]) @ pose[:3, :3]) < size / 2).all(axis=1)

    in_a, in_b = inside(a, size_a), inside(b, size_b)
    expected = (in_a & in_b).sum() / (in_a | in_b).sum()
    assert box_overlap_3d(a, size_a, b, size_b) == pytest.approx(expected, abs=0.04)


def test_box_overlap_of_known_boxes():
    half = np.eye(4)
    half[0, 3] = 0.5
    away = np.eye(4)
    away[0, 3] = 3
    touching = np.eye(4)
    touching[0, 3] = 1
    unit = np.ones(3)
    assert box_overlap_3d(np.eye(4), unit, np.eye(4), unit) == pytest.approx(1)
    assert box_overlap_3d(np.eye(4), unit, half, unit) == pytest.approx(1 / 3)
    assert box_overlap_3d(np.eye(4), unit, away, unit) == 0
    assert box_overlap_3d(np.eye(4), unit, touching, unit) == pytest.approx(0, abs=1e-9)
    assert box_overlap_3d(np.eye(4), unit, np.eye(4), unit / 2) == pytest.approx(1 / 8)
    assert np.ptp(box_corners(half, [1, 2, 3]), axis=0) == pytest.approx([1, 2, 3])


def test_upright_box_overlap():
    assert box_overlap_2d(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    np.testing.assert_allclose(box_overlap_2d([[0, 0, 4, 2]], [[0, 0, 4, 2], [2, 1, 4, 2]]), [[1, 2 / 14]])


def test_the_surest_detection_takes_the_object():
    matches, found = match_detections([0.3, 0.9, 0.5], [[0.8, 0], [0.6, 0], [0.9, 0]])
    assert matches == [-1, 0, -1] and found.tolist() == [True, False]
    assert match_detections([], np.zeros((0, 2)))[1].tolist() == [False, False]


def test_average_precision_of_a_worked_example():
    # Right, wrong, right, of three objects: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    figures = detection_figures([0.9, 0.8, 0.7], [True, False, True], truths=3)
    np.testing.assert_allclose(figures.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(figures.recall, [1 / 3, 1 / 3, 2 / 3])
    assert figures.average_precision == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert detection_figures([], [], truths=2).average_precision == 0
