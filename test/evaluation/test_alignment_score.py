import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.alignment import (
    alignment_figures,
    alignment_tables,
    pair_interval,
    score_alignment,
)
from surfpose_ros.evaluation.label_frames import (
    VideoLabels,
    canonical_from_label,
    fit_canonical_from_label,
    video_labels,
)
from surfpose_ros.evaluation.metrics import rotation_error
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry
from surfpose_ros.video.labels import LabelRow
from surfpose_ros.video.object_video import Frame, ObjectVideo


def videos_and_alignment(seed, turns=(), category="mug"):
    """Videos in random frames, aligned perfectly but for a turn (in the labels' frame) of each."""
    generator = torch.Generator().manual_seed(seed)
    canonical_from_label = random_similarity(generator, 0.3, 1.0).numpy()
    videos, poses = {}, {}
    for index, turn in enumerate(turns):
        video_from_label = random_similarity(generator, 0.5, 0.5).numpy()
        wrong = np.eye(4)
        wrong[:3, :3] = Rotation.from_euler("z", turn, degrees=True).as_matrix()
        name = f"{category}{index}"
        scale = np.cbrt(np.linalg.det(video_from_label[:3, :3]))
        videos[name] = VideoLabels(name, category, video_from_label[:3, :3] / scale, 0.0, 3)
        poses[name] = canonical_from_label @ wrong @ np.linalg.inv(video_from_label)
    return videos, Alignment(category, poses, dict.fromkeys(poses, 1.0))


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), turns=st.lists(st.floats(-90, 90), min_size=2, max_size=5))
def test_pair_errors_are_the_turns_between_the_videos(seed, turns):
    videos, alignment = videos_and_alignment(seed, turns)
    score = score_alignment(alignment, videos)
    expected = np.abs(np.subtract.outer(turns, turns))
    np.testing.assert_allclose(score.pair_errors, np.minimum(expected, 360 - expected), atol=1e-5)
    assert len(score.pairs) == len(score.pair_names) == len(turns) * (len(turns) - 1) / 2


def test_a_flip_counts_unless_the_object_is_symmetric():
    videos, alignment = videos_and_alignment(0, (0, 1, 2, 180))
    assert alignment_figures([score_alignment(alignment, videos)])["acc30"] == 0.5
    symmetric = score_alignment(alignment, videos, Symmetry(2))
    assert alignment_figures([symmetric])["acc30"] == 1.0


def test_the_link_to_a_symmetric_object_forgives_its_turns():
    videos, alignment = videos_and_alignment(0, (0, 30, 100, 200))
    poses = alignment.canonical_from_video
    axis = canonical_from_label(poses["mug0"], videos["mug0"])[:, 2]
    rotation, angles = fit_canonical_from_label(poses, videos, Symmetry(CONTINUOUS, tuple(axis)))
    assert angles.max() < 0.01 and rotation[:, 2] @ axis > 0.9999
    score = score_alignment(alignment, videos, Symmetry(CONTINUOUS))
    assert score.errors.max() < 0.01


def test_a_video_that_was_set_aside_fails_in_all_its_pairs():
    videos, alignment = videos_and_alignment(0, (0, 0, 0))
    del alignment.canonical_from_video["mug2"]
    alignment.set_aside["mug2"] = "too few views"
    score = score_alignment(alignment, videos)
    figures = alignment_figures([score])
    assert figures["n"] == 3 and figures["acc30"] == pytest.approx(1 / 3)
    assert figures["categories"]["mug"]["set_aside"] == {"mug2": "too few views"}
    assert "too few views" in alignment_tables([score])[1].markdown()


def test_videos_of_another_category_are_no_failures():
    videos, alignment = videos_and_alignment(0, (0, 0))
    others, _ = videos_and_alignment(1, (0, 0), category="car")
    score = score_alignment(alignment, videos | others)
    assert score.names == ["mug0", "mug1"]


def test_categories_count_alike_in_their_mean():
    first = score_alignment(*reversed(videos_and_alignment(0, (0, 0, 0))))
    second = score_alignment(*reversed(videos_and_alignment(1, (0, 90), category="car")))
    figures = alignment_figures([first, second])
    assert figures["acc30"] == 0.75 and figures["mean_of_categories"]["acc30"] == 0.5


def test_a_missing_capture_and_a_single_video_are_said():
    videos, alignment = videos_and_alignment(0, (0, 0))
    with pytest.raises(SurfposeError, match="names the video mug1"):
        score_alignment(alignment, {"mug0": videos["mug0"]})
    videos, alignment = videos_and_alignment(0, (0,))
    with pytest.raises(SurfposeError, match="at least two"):
        score_alignment(alignment, videos)


def test_the_interval_holds_the_figure_and_shrinks_to_it_without_doubt():
    videos, alignment = videos_and_alignment(0, (0, 0, 0, 0, 180))
    low, high = pair_interval(score_alignment(alignment, videos), lambda e: float((e < 30).mean()))
    assert low < 0.6 < high
    videos, alignment = videos_and_alignment(0, (0, 1, 2))
    assert pair_interval(score_alignment(alignment, videos), lambda e: float((e < 30).mean())) == (1, 1)


def recorded(seed, noise_deg=0.0, posed=True):
    generator = np.random.default_rng(seed)
    camera = Camera(np.diag([100.0, 100, 1]), 4, 4)
    video_from_label = Rotation.random(rng=generator)
    frames, labels = [], {}
    for index in range(9):
        label = Rotation.random(rng=generator)
        noise = Rotation.from_rotvec(np.deg2rad(noise_deg) * generator.normal(size=3))
        pose = np.eye(4)
        pose[:3, :3] = (label * noise * video_from_label.inv()).as_matrix()
        name = f"{index}.jpg"
        image = np.zeros((4, 4, 3), np.uint8)
        frames.append(Frame(name, index, image, camera, None, pose if posed else None))
        labels[name] = LabelRow(name, None, label.as_matrix())
    return ObjectVideo("mug0", "mug", frames), labels, video_from_label.as_matrix()


def test_the_labels_of_a_video_survive_two_wrong_frames():
    video, labels, truth = recorded(0)
    labels["3.jpg"] = LabelRow("3.jpg", None, np.eye(3))
    labels["4.jpg"] = LabelRow("4.jpg", None, np.eye(3))
    found = video_labels(video, labels)
    assert rotation_error(found.video_from_label, truth) < 0.5
    assert found.frames == 9 and found.spread_deg < 0.5


def test_labels_of_other_images_or_a_video_without_poses_are_said():
    video, labels, _ = recorded(0)
    with pytest.raises(SurfposeError, match=r"its first is '0\.jpg'"):
        video_labels(video, {"other.jpg": labels["0.jpg"]})
    video, labels, _ = recorded(0, posed=False)
    with pytest.raises(SurfposeError, match="no camera poses"):
        video_labels(video, labels)


def test_the_link_between_labels_and_model_is_the_videos_median():
    videos, alignment = videos_and_alignment(3, (0, 2, -2, 180))
    rotation, angles = fit_canonical_from_label(alignment.canonical_from_video, videos)
    truth, _ = fit_canonical_from_label({"mug0": alignment.canonical_from_video["mug0"]}, videos)
    assert rotation_error(rotation, truth) < 2.0
    assert sorted(angles > 90) == [False, False, False, True]
    with pytest.raises(SurfposeError, match="trained on"):
        fit_canonical_from_label(alignment.canonical_from_video, {})
