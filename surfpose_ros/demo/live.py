"""Last part of the demo: pose_node, live, on pictures of objects that it never saw, in clutter."""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.category.model import CategoryInfo
from surfpose_ros.demo.processes import NodeProcess, ros_environment
from surfpose_ros.evaluation.label_frames import VideoLabels, fit_canonical_from_label
from surfpose_ros.evaluation.pose import LabelFrame, Outcome, compare
from surfpose_ros.evaluation.samples import samples_from_labels
from surfpose_ros.files import read_json, write_json
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.detection import Detection, PoseHypothesis
from surfpose_ros.progress import Progress
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scene_set import simulate_scenes
from surfpose_ros.video.labels import read_labels

ANSWERS_VERSION = 1
THRESHOLD = 0.2  # below pose_node's own: the table is to show what low scores are worth


def make_scenes(category: str, seeds: list[int], count: int, folder: Path, progress: Progress) -> Path:
    """`count` pictures in clutter of the objects of these seeds; returns their labels CSV."""
    labels = folder / "labels.csv"
    if labels.exists() and len(read_labels(labels, folder)) == count:
        progress("scenes", count, count)
        return labels
    makers = [partial(make_object, category, seed) for seed in seeds]
    return simulate_scenes(makers, folder, count, seed=1, progress=progress)


def look(model: Path, labels: Path, answers: Path, logs: Path, progress: Progress) -> dict[str, Any]:
    """Show every picture to a pose_node with this model; its answers by the picture's name.

    Answers of the same model to the same pictures are taken from `answers` if they are there.

    Raises:
        SurfposeError: a node ended or did not answer.
    """
    asked = {"model": _checksum(model / "model.safetensors"), "labels": _checksum(labels)}
    count = len(read_labels(labels, labels.parent))
    if answers.exists():
        content = read_json(answers, kind="answers of pose_node", version=ANSWERS_VERSION)
        if content.get("asked") == asked:
            progress("live", count, count)
            return {answer["image"]: answer for answer in content["answers"]}
    progress("live", 0, count, "pose_node is loading the model")
    with (
        ros_environment() as environment,
        NodeProcess(
            "pose_node", environment, logs / "pose_node.log", models=[str(model)], device="cpu",
            tracking=False, threshold=THRESHOLD,
        ),
        NodeProcess(
            "demo_viewer", environment, logs / "demo_viewer.log",
            remap={"detections": "pose_node/detections"}, labels=str(labels), out=str(answers),
        ) as viewer,
    ):  # fmt: skip
        for done, line in enumerate(viewer.lines(), start=1):
            progress("live", done, count, line)
    content = read_json(answers, kind="answers of pose_node", version=ANSWERS_VERSION)
    write_json(answers, {**content, "asked": asked})
    return {answer["image"]: answer for answer in content["answers"]}


def label_frame(
    info: CategoryInfo, video_from_object: Mapping[str, np.ndarray]
) -> tuple[LabelFrame, np.ndarray]:
    """The objects' own frame in the model's canonical one, told by the recorded objects, and by how many
    degrees each recorded object's alignment is off the median, ``(N,)``."""
    aligned = {name: np.array(pose) for name, pose in info.captures.items()}
    videos = {
        name: VideoLabels(name, info.name, _rotation(pose), 0.0, 1)
        for name, pose in video_from_object.items()
    }
    rotation, spread = fit_canonical_from_label(aligned, videos)
    unit = info.size_m["mean"] if info.size_m else 1.0
    origins = [(aligned[name] @ video_from_object[name])[:3, 3] for name in aligned if name in videos]
    return LabelFrame(rotation=rotation, origin=unit * np.median(origins, axis=0)), spread


def judge(labels: Path, answers: Mapping[str, Any], frame: LabelFrame) -> list[Outcome]:
    """Every answer beside the truth."""
    outcomes = []
    for sample in samples_from_labels(read_labels(labels, labels.parent)):
        answer = answers.get(sample.name, {"detections": [], "seconds": None})
        camera = sample.read()[1]
        assert camera is not None
        found = [_detection(detection, camera) for detection in answer["detections"]]
        best = max(found, key=lambda detection: detection.score, default=None)
        outcomes.append(compare(sample, best, frame, answer["seconds"] or 0.0))
    return outcomes


def _detection(answer: dict[str, Any], camera: Camera) -> Detection:
    scores = [result["score"] for result in answer["results"]]
    hypotheses = tuple(
        PoseHypothesis(
            np.array(result["camera_from_object"]),
            score / max(sum(scores), 1e-9),
            np.array(result["covariance"]).reshape(6, 6),
        )
        for result, score in zip(answer["results"], scores, strict=True)
    )
    size = np.array(answer["size"])
    box = _projected_box(camera, hypotheses[0].camera_from_object, size)
    return Detection(answer["results"][0]["category"], sum(scores), box, hypotheses, size, metric=True)


def _projected_box(
    camera: Camera, camera_from_object: np.ndarray, size: np.ndarray
) -> tuple[float, float, float, float]:
    """x, y, width, height in the picture of the corners of the object's box."""
    corners = np.stack(np.meshgrid(*np.stack([-size, size], axis=1) / 2), axis=-1).reshape(-1, 3)
    pixels = (corners @ camera_from_object[:3, :3].T + camera_from_object[:3, 3]) @ camera.matrix.T
    pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-6)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _rotation(similarity: np.ndarray) -> np.ndarray:
    linear = similarity[:3, :3]
    return np.asarray(linear / np.cbrt(np.linalg.det(linear)))


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
