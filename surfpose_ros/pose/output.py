"""Pose results as plain values for JSON, and as lines for a person."""

from typing import Any

import numpy as np
import torch

from surfpose_ros.geometry.rotations import quaternion_from_rotation
from surfpose_ros.pose.detection import Detection, PoseResult


def result_as_dict(result: PoseResult) -> dict[str, Any]:
    """Everything a `PoseResult` holds; quaternions as (w, x, y, z), lengths in `unit`."""
    return {
        "detections": [_detection_as_dict(detection) for detection in result.detections],
        "best_score": round(result.best_score, 4),
        "reason": result.reason,
        "seconds": {stage: round(value, 4) for stage, value in result.stage_seconds.items()},
    }


def _detection_as_dict(detection: Detection) -> dict[str, Any]:
    return {
        "category": detection.category,
        "score": round(detection.score, 4),
        "box": [round(float(value), 1) for value in detection.box],
        "unit": "metre" if detection.metric else "object diagonal",
        "size": [round(float(value), 4) for value in detection.size],
        "hypotheses": [
            {
                "weight": round(hypothesis.weight, 4),
                "quaternion_wxyz": [round(v, 6) for v in _quaternion(hypothesis.camera_from_object)],
                "translation": [round(float(v), 4) for v in hypothesis.camera_from_object[:3, 3]],
                "covariance": [[float(f"{v:.3g}") for v in row] for row in hypothesis.covariance],
            }
            for hypothesis in detection.hypotheses
        ],
    }


def result_as_text(result: PoseResult) -> str:
    """One line a detection; where there is none, why."""
    if not result.detections:
        return result.reason
    return "\n".join(["", *(_detection_as_text(detection) for detection in result.detections)])


def _detection_as_text(detection: Detection) -> str:
    best = detection.hypotheses[0]
    azimuth, elevation, roll = map(round, view_angles_deg(best.camera_from_object[:3, :3]))
    seen = f"seen from azimuth {azimuth}°, elevation {elevation}°, roll {roll}°"
    x, y, width, height = detection.box
    where = f"at {best.camera_from_object[:3, 3].round(3).tolist()} m, "
    if not detection.metric:
        where = "distance unknown (no intrinsics or no metric size), "
    rivals = ""
    if len(detection.hypotheses) > 1 and detection.hypotheses[1].weight > 0.1:
        rivals = f"; or, with {detection.hypotheses[1].weight:.0%}, another pose (see --json)"
    box = f"box {x:.0f},{y:.0f} {width:.0f}x{height:.0f}"
    return f"  {detection.category} {detection.score:.2f}, {box}, {where}{seen}{rivals}"


def view_angles_deg(camera_from_object: np.ndarray) -> tuple[float, float, float]:
    """Azimuth, elevation and roll of a ``(3, 3)`` rotation, as `camera_from_object_views` takes them."""
    toward = -camera_from_object[2]
    up = camera_from_object[:, 2]
    azimuth = np.arctan2(toward[1], toward[0])
    elevation = np.arcsin(np.clip(toward[2], -1, 1))
    roll = np.arctan2(up[0], -up[1])
    return float(np.degrees(azimuth)), float(np.degrees(elevation)), float(np.degrees(roll))


def _quaternion(camera_from_object: np.ndarray) -> list[float]:
    return quaternion_from_rotation(torch.from_numpy(camera_from_object[:3, :3])).tolist()
