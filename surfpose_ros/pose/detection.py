"""What the estimator says of one image; messages/ turns it into ROS, the command line into JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class PoseHypothesis:
    """One pose that explains the object's pixels.

    Attributes:
        camera_from_object: rigid transform, ``(4, 4)`` float64: the canonical axes, origin at the
            object's centre. Translation in metres if the detection is `metric`, else in object
            diagonals.
        weight: probability among the detection's hypotheses; they sum to one.
        covariance: ``(6, 6)`` of (x, y, z, rx, ry, rz) in the camera frame, as in
            PoseWithCovariance; metres (or diagonals) and radians.
    """

    camera_from_object: np.ndarray
    weight: float
    covariance: np.ndarray


@dataclass(frozen=True)
class Detection:
    """One object of one category in one image.

    Attributes:
        category: name of the category model.
        score: calibrated probability that an object is there and the first pose is within 30 degrees.
        box: (x, y, width, height) in pixels, (0, 0) the image's upper left corner.
        hypotheses: best first; several where the object is ambiguous.
        size: bounding box along the object's axes, ``(3,)``; metres, or diagonals if not `metric`.
        metric: False if the camera's intrinsics or the category's size are unknown; only the
            rotation and the position in the image hold then.
        evidence: what the score is made of, by name; see `surfpose_ros.pose.calibrate`.
    """

    category: str
    score: float
    box: tuple[float, float, float, float]
    hypotheses: tuple[PoseHypothesis, ...]
    size: np.ndarray
    metric: bool
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PoseResult:
    """Everything found in one image.

    Attributes:
        detections: best first; may be empty.
        best_score: highest score seen, below the threshold too.
        reason: why `detections` is empty, "" where it is not.
        stage_seconds: time of each stage, in order.
    """

    detections: tuple[Detection, ...]
    best_score: float
    reason: str
    stage_seconds: dict[str, float]
