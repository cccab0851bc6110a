"""What a category model's scores are worth: measured on pictures made of its own training views.

Each picture pastes a view, or none, into generated clutter; the estimator searches it as a robot's would
be searched. Nothing is measured on objects or pictures that accuracy is later told of.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from surfpose_ros.category.augment import Augmentation, Augmenter
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.views import TrainingViews
from surfpose_ros.pose.detection import Detection
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.localise import OVERLAP, STRIDE, overlap
from surfpose_ros.pose.score import EVIDENCE
from surfpose_ros.progress import Progress, silent, track

RIGHT_DEG = 30.0
# Upright and in their own proportions, so that the true rotation is known; whole and unfiltered, as cameras
# give them; otherwise as in training.
PICTURES = Augmentation(roll_deg=0.0, aspect=0.0, far=0.7, absent=0.25, filter=0.0, cut=0.0)
PRIOR = 0.1  # strength of the pull towards small weights, so that perfect separation stays finite


def calibrate(
    model: CategoryModel, views: TrainingViews, pictures: int, seed: int = 0, progress: Progress = silent
) -> CategoryModel:
    """The model with `calibration` fitted on that many pictures; as it was if all come out alike."""
    generator = torch.Generator().manual_seed(seed + 1)
    size = model.info.input_size
    augment = Augmenter(PICTURES, size, STRIDE, generator, make_distractors(seed + 1))
    estimator = PoseEstimator([model], EstimatorSettings(threshold=0.0))
    evidence, right = [], []
    for _ in track(range(pictures), progress, "calibrate", pictures):
        view = views.subset(torch.randint(len(views), (1,), generator=generator).to(views.images.device))
        batch = augment(view.to(torch.device("cpu")))
        image = (batch.images[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
        truth = view.rotations[0].double().cpu()
        for detection in estimator(np.ascontiguousarray(image)).detections:
            evidence.append([detection.evidence[name] for name in EVIDENCE])
            right.append(float(batch.seen[0]) > 0 and _is_right(detection, truth, batch.boxes[0], model))
    if len(set(right)) < 2:
        return model
    return replace(
        model, info=replace(model.info, calibration=fit_scores(np.array(evidence), np.array(right)))
    )


def _is_right(detection: Detection, truth: Tensor, box: Tensor, model: CategoryModel) -> bool:
    left, top, right, bottom = ((box + 0.5) * STRIDE).tolist()
    if overlap(detection.box, (left, top, right - left, bottom - top)) < OVERLAP:
        return False
    found = torch.from_numpy(detection.hypotheses[0].camera_from_object[:3, :3].copy())
    return float(model.symmetry.distance(found, truth)) < math.radians(RIGHT_DEG)


def fit_scores(evidence: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Logistic regression: weights of the evidence ``(N, 2)`` and the offset, to explain `right` best."""
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    inputs = np.column_stack([(evidence - mean) / spread, np.ones(len(right))])
    sign = np.where(right, 1.0, -1.0)

    def cost(weights: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (inputs @ weights)).sum() + PRIOR * (weights[:-1] ** 2).sum())

    *weights, offset = minimize(cost, np.zeros(inputs.shape[1]), method="BFGS").x
    # More evidence never lowers a score, whatever few pictures say.
    slopes = np.maximum(weights, 0) / spread
    fitted = dict(zip(EVIDENCE, slopes.tolist(), strict=True))
    return {"offset": float(offset - slopes @ mean), **fitted}
