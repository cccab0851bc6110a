"""Tracks over images: names, smoothness, flips, symmetry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry
from surfpose_ros.pose.detection import Detection, PoseHypothesis
from surfpose_ros.pose.tracking import Tracker, TrackingSettings, nearest_equivalent, untracked

COVARIANCE = np.diag([0.004**2] * 3 + [0.1**2] * 3)
DT = 0.1


def pose(position, rotation) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = Rotation.as_matrix(rotation), position
    return result


def detection(
    *hypotheses: tuple[np.ndarray, float], category: str = "mug", score: float = 0.9
) -> Detection:
    made = tuple(PoseHypothesis(matrix, weight, COVARIANCE) for matrix, weight in hypotheses)
    return Detection(category, 0.9, (0, 0, 50, 50), made, np.array([0.08, 0.06, 0.1]), True)


def best(tracked) -> np.ndarray:
    return tracked.detection.hypotheses[0].camera_from_object


def angle(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(first[:3, :3].T @ second[:3, :3]).magnitude()))


def circling(step: int) -> np.ndarray:
    """An object that moves to the right and turns, 20 degrees a second."""
    return pose([0.1 * step * DT, 0.0, 0.8], Rotation.from_rotvec([0, np.radians(20) * step * DT, 0]))


def noisy(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = Rotation.from_rotvec(rng.normal(0, 0.1, 3))
    return pose(truth[:3, 3] + rng.normal(0, 0.004, 3), turn * Rotation.from_matrix(truth[:3, :3]))


def test_a_track_is_closer_to_the_truth_than_the_measurements_it_is_made_of():
    rng, tracker = np.random.default_rng(0), Tracker()
    raw, filtered = [], []
    for step in range(60):
        truth = circling(step)
        measured = noisy(truth, rng)
        (item,) = tracker.update(step * DT, [detection((measured, 1.0))])
        assert item.name == "mug_0"
        if step > 15:
            raw.append(angle(measured, truth))
            filtered.append(angle(best(item), truth))
    assert np.mean(filtered) < 0.7 * np.mean(raw)


def test_the_covariance_shrinks_with_sightings_and_stays_symmetric_and_positive():
    tracker = Tracker()
    for step in range(10):
        (item,) = tracker.update(step * DT, [detection((circling(step), 1.0))])
    covariance = item.detection.hypotheses[0].covariance
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert np.trace(covariance[3:, 3:]) < np.trace(COVARIANCE[3:, 3:])


def test_one_wild_pose_does_not_move_the_track():
    tracker = Tracker()
    for step in range(12):
        truth = circling(step)
        shown = truth if step != 9 else truth @ pose([0, 0, 0], Rotation.from_euler("z", 170, degrees=True))
        (item,) = tracker.update(step * DT, [detection((shown, 1.0))])
        assert angle(best(item), truth) < 8


def test_a_lasting_change_of_mind_is_followed_under_the_same_name():
    tracker, flip = Tracker(), pose([0, 0, 0], Rotation.from_euler("z", 180, degrees=True))
    for step in range(20):
        truth = circling(step) if step < 8 else circling(step) @ flip
        (item,) = tracker.update(step * DT, [detection((truth, 1.0))])
    assert item.name == "mug_0"
    assert angle(best(item), circling(19) @ flip) < 5


def test_flips_between_two_nearly_equal_hypotheses_do_not_reach_the_output():
    tracker, rng = Tracker(), np.random.default_rng(3)
    flip = pose([0, 0, 0], Rotation.from_euler("z", 180, degrees=True))
    for step in range(40):
        truth = circling(step)
        share = float(np.clip(0.5 + rng.normal(0, 0.05), 0.3, 0.7)) if step else 0.6
        pair = sorted([(truth, share), (truth @ flip, 1 - share)], key=lambda h: -h[1])
        (item,) = tracker.update(step * DT, [detection(*pair)])
        assert angle(best(item), truth) < 10
        assert len(item.detection.hypotheses) == 2


def test_the_likelier_hypothesis_wins_in_the_end_if_the_track_began_with_the_other():
    tracker, flip = Tracker(), pose([0, 0, 0], Rotation.from_euler("z", 180, degrees=True))
    for step in range(40):
        truth = circling(step)
        shares = (0.4, 0.6) if step == 0 else (0.75, 0.25)
        pair = sorted([(truth, shares[0]), (truth @ flip, shares[1])], key=lambda h: -h[1])
        (item,) = tracker.update(step * DT, [detection(*pair)])
    assert angle(best(item), circling(39)) < 5


def test_a_symmetric_object_does_not_spin():
    tracker = Tracker(symmetries={"mug": Symmetry(order=CONTINUOUS)})
    rng = np.random.default_rng(4)
    still = pose([0, 0, 0.8], Rotation.from_euler("x", -70, degrees=True))
    outputs = []
    for step in range(30):
        spun = still @ pose([0, 0, 0], Rotation.from_euler("z", rng.uniform(0, 360), degrees=True))
        (item,) = tracker.update(step * DT, [detection((spun, 1.0))])
        outputs.append(best(item))
    assert max(angle(outputs[0], output) for output in outputs) < 2


def test_two_objects_keep_their_names_whatever_the_order_of_the_detections():
    tracker = Tracker()
    left = pose([-0.2, 0, 0.8], Rotation.identity())
    right = pose([0.2, 0, 0.8], Rotation.identity())
    names = {}
    for step in range(10):
        pair = [detection((left, 1.0)), detection((right, 1.0))]
        found = tracker.update(step * DT, pair[:: 1 if step % 2 else -1])
        for item in found:
            side = "left" if best(item)[0, 3] < 0 else "right"
            assert names.setdefault(side, item.name) == item.name
    assert sorted(names.values()) == ["mug_0", "mug_1"]


def test_an_object_that_was_hidden_for_a_moment_keeps_its_name_and_later_gives_it_back():
    tracker = Tracker(TrackingSettings(max_age_s=0.5))
    seen = [detection((circling(0), 1.0))]
    assert tracker.update(0.0, seen)[0].name == "mug_0"
    assert tracker.update(0.2, []) == ()
    assert tracker.update(0.4, seen)[0].name == "mug_0"
    tracker.update(5.0, [])
    far = detection((pose([0.5, 0.3, 0.8], Rotation.identity()), 1.0))
    assert tracker.update(5.1, [far])[0].name == "mug_0"


def test_categories_are_tracked_apart():
    found = Tracker().update(
        0.0, [detection((circling(0), 1.0)), detection((circling(0), 1.0), category="car")]
    )
    assert [item.name for item in found] == ["mug_0", "car_0"]


def test_a_clock_set_back_starts_all_over():
    tracker = Tracker()
    tracker.update(100.0, [detection((circling(0), 1.0))])
    turned = circling(0) @ pose([0, 0, 0], Rotation.from_euler("z", 90, degrees=True))
    (item,) = tracker.update(3.0, [detection((turned, 1.0))])
    assert np.allclose(best(item), turned)


def test_two_images_of_one_stamp_are_no_trouble():
    tracker = Tracker()
    for _ in range(3):
        (item,) = tracker.update(1.0, [detection((circling(0), 1.0))])
    assert np.isfinite(best(item)).all()


def test_without_tracking_names_are_ranks():
    found = untracked([detection((circling(0), 1.0)), detection((circling(1), 1.0))])
    assert [item.name for item in found] == ["mug_0", "mug_1"]


@given(
    order=st.sampled_from([1, 2, 3, 4, CONTINUOUS]),
    reversible=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_the_nearest_equivalent_looks_the_same_and_none_is_nearer(order, reversible, seed):
    symmetry = Symmetry(order, (0.6, 0.0, 0.8), reversible)
    rotation, reference = Rotation.random(2, random_state=seed).as_matrix()
    found = nearest_equivalent(symmetry, rotation, reference)
    equal = rotation @ symmetry.rotations(steps=360).numpy()
    nearest = min(angle(candidate, reference) for candidate in equal)
    assert angle(found, reference) <= nearest + 1e-4
    assert angle(found, reference) >= nearest - 1.0
    assert min(angle(candidate, found) for candidate in equal) < 0.6


@pytest.mark.parametrize("count", [1, 5])
def test_an_update_names_every_detection(count):
    many = [detection((pose([0.3 * i, 0, 1.0], Rotation.identity()), 1.0)) for i in range(count)]
    assert len(Tracker().update(0.0, many)) == count
