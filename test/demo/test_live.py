import json

import numpy as np
import pytest
import torch

from surfpose_ros.category.model import CategoryInfo
from surfpose_ros.demo.live import judge, label_frame, make_scenes
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.progress import silent
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scene_set import simulate_scenes
from surfpose_ros.simulation.scenes import SceneSettings
from surfpose_ros.video.labels import read_labels


@pytest.fixture
def similarities():
    generator = torch.Generator().manual_seed(2)
    return [random_similarity(generator, 0.5, 0.5).numpy() for _ in range(4)]


def info(captures):
    return CategoryInfo(
        "mug", "mobilenet_v2", "", 224, {"mean": 0.15, "std": 0.01}, [0.1] * 3,
        captures={name: pose.tolist() for name, pose in captures.items()},
    )  # fmt: skip


@pytest.fixture
def labels(tmp_path):
    settings = SceneSettings(width=160, height=120)
    return simulate_scenes([lambda: make_object("mug", 1000)], tmp_path, 3, seed=1, settings=settings)


def answer(row, frame, turn=None):
    """What pose_node would say if it knew the truth, in the canonical frame of its model."""
    pose = np.eye(4)
    pose[:3, :3] = row.rotation @ frame.rotation.T @ (np.eye(3) if turn is None else turn)
    pose[:3, 3] = row.translation - pose[:3, :3] @ frame.origin
    result = {
        "category": "mug", "score": 0.9, "covariance": [0.0] * 36, "camera_from_object": pose.tolist(),
    }  # fmt: skip
    detection = {"id": "mug_1", "size": [0.1, 0.08, 0.1], "results": [result]}
    return {"image": row.image, "seconds": 0.1, "detections": [detection]}


def test_the_canonical_frame_is_linked_to_the_objects_by_the_recordings(similarities):
    canonical_from_object, *videos = similarities
    canonical_from_object[:3, :3] /= np.cbrt(np.linalg.det(canonical_from_object[:3, :3]))
    truth = {f"mug_{i}": video for i, video in enumerate(videos)}
    aligned = {name: canonical_from_object @ np.linalg.inv(video) for name, video in truth.items()}
    frame, off_deg = label_frame(info(aligned), truth)
    assert np.allclose(frame.rotation, canonical_from_object[:3, :3], atol=1e-6)
    assert np.allclose(frame.origin, 0.15 * canonical_from_object[:3, 3], atol=1e-6)
    assert off_deg.max() < 1e-3


def test_true_answers_have_no_error_whatever_the_models_frame(labels, similarities):
    canonical_from_object, video = similarities[:2]
    frame, _ = label_frame(info({"mug_0": canonical_from_object @ np.linalg.inv(video)}), {"mug_0": video})
    rows = read_labels(labels, labels.parent)
    answers = {row.image: json.loads(json.dumps(answer(row, frame))) for row in rows}
    for outcome in judge(labels, answers, frame):
        assert outcome.error_deg < 1e-3
        assert outcome.translation_m < 1e-6


def test_a_turned_answer_is_off_by_its_turn_and_a_missing_one_is_no_success(labels, similarities):
    frame, _ = label_frame(info({"mug_0": np.eye(4)}), {"mug_0": np.eye(4)})
    rows = read_labels(labels, labels.parent)
    flip = np.diag([-1.0, -1.0, 1.0])
    answers = {rows[0].image: answer(rows[0], frame, flip)}
    first, *others = judge(labels, answers, frame)
    assert first.error_deg == pytest.approx(180, abs=1e-3)
    assert all(outcome.detection is None and np.isnan(outcome.error_deg) for outcome in others)


def test_pictures_that_are_there_are_not_made_again(tmp_path):
    labels = make_scenes("mug", [1000], 1, tmp_path, silent)
    before = labels.stat().st_mtime_ns
    assert make_scenes("mug", [1000], 1, tmp_path, silent).stat().st_mtime_ns == before
    assert make_scenes("mug", [1000], 2, tmp_path, silent).stat().st_mtime_ns > before
    assert len(read_labels(labels, tmp_path)) == 2
