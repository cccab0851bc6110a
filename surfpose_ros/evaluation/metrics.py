"""How far poses are from the truth: rotations, translations, points, and their summaries.

Arrays are NumPy, batched over leading dimensions. Angles are degrees here, because people read them.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from surfpose_ros.geometry.symmetry import Symmetry

Array = NDArray[np.float64]

THRESHOLDS_DEG = (30, 15, 10, 5)
# A pose this far off was turned round rather than missed: half a turn with 45 degrees to either side.
FLIP_DEG = 135.0


def rotation_error(estimated: ArrayLike, true: ArrayLike, symmetry: Symmetry | None = None) -> Array:
    """Geodesic angle between rotations, the smallest over the object's symmetry.

    Args:
        estimated: ``anything_from_object`` rotations, ``(..., 3, 3)``.
        true: the same, ``(..., 3, 3)``.
        symmetry: of the object, in the object's frame.

    Returns:
        Degrees, ``(...)``, 0 to 180.
    """
    pair = (torch.as_tensor(np.asarray(rotation, dtype=np.float64)) for rotation in (estimated, true))
    return np.rad2deg((symmetry or Symmetry()).distance(*pair).numpy())


def heading_error(estimated: ArrayLike, true: ArrayLike, up: ArrayLike = (0, 0, 1)) -> Array:
    """Signed turn about the object's `up` that is left once both poses' ups are made to agree.

    The relative rotation is split into swing and twist (Huyghe, "Design and implementation of a mobile
    sensor system for human posture tracking", 2011): the twist about `up` is the heading.

    Args:
        estimated: ``camera_from_object`` rotations, ``(..., 3, 3)``.
        true: the same, ``(..., 3, 3)``.
        up: unit vector in the object's frame, ``(3,)``.

    Returns:
        Degrees, ``(...)``, above -180 up to 180.
    """
    axis = np.asarray(up, dtype=np.float64)
    relative = np.swapaxes(np.asarray(true, np.float64), -1, -2) @ np.asarray(estimated, np.float64)
    sine = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        axis=-1,
    )
    # In quaternion terms atan2(xyz . axis, w), with both multiplied by 4 w.
    return np.rad2deg(2 * np.arctan2(sine @ axis, 1 + np.trace(relative, axis1=-2, axis2=-1)))


def accuracy(errors: ArrayLike, threshold: float) -> float:
    """Share of `errors` below `threshold`; NaN counts as a failure. 0 for no errors at all."""
    errors = np.asarray(errors, dtype=np.float64)
    return float((errors < threshold).mean()) if errors.size else 0.0


def area_under_curve(errors: ArrayLike, limit: float) -> float:
    """Mean accuracy over all thresholds from 0 to `limit`, exact; NaN counts as a failure.

    Example:
        >>> area_under_curve([0.0, 5.0, 20.0], limit=10.0)
        0.5
    """
    errors = np.asarray(errors, dtype=np.float64)
    if not errors.size:
        return 0.0
    return float((1 - np.nan_to_num(errors, nan=limit, posinf=limit).clip(0, limit) / limit).mean())


def rotation_figures(errors: ArrayLike) -> dict[str, float | int | None]:
    """Accuracies (fractions), median, mean and area under the curve to 30 degrees, of errors in degrees.

    NaN stands for "no pose given": it fails every threshold, and counts as 180 degrees in the median
    and in the mean, so that silence is never better than a bad answer.
    """
    errors = np.nan_to_num(np.asarray(errors, dtype=np.float64), nan=180.0)
    return {
        "n": int(errors.size),
        **{f"acc{threshold}": accuracy(errors, threshold) for threshold in THRESHOLDS_DEG},
        "median_deg": float(np.median(errors)) if errors.size else None,
        "mean_deg": float(errors.mean()) if errors.size else None,
        "auc30": area_under_curve(errors, 30.0),
    }


def translation_error(estimated: ArrayLike, true: ArrayLike) -> Array:
    """Distance between translations ``(..., 3)``, in their unit, ``(...)``."""
    return np.linalg.norm(np.asarray(estimated, np.float64) - np.asarray(true, np.float64), axis=-1)


def within(rotation_deg: ArrayLike, translation: ArrayLike, degrees: float, metres: float) -> float:
    """Share of poses within both thresholds (Shotton et al., CVPR 2013: 5 degrees and 5 cm)."""
    both = (np.asarray(rotation_deg) < degrees) & (np.asarray(translation) < metres)
    return float(both.mean()) if both.size else 0.0


def average_distance(estimated: ArrayLike, true: ArrayLike, points: ArrayLike) -> Array:
    """ADD: mean distance between the model's points under both poses (Hinterstoisser et al., ACCV 2012).

    Args:
        estimated: ``camera_from_object``, ``(..., 4, 4)``.
        true: the same, ``(..., 4, 4)``.
        points: of the model, in the object's frame, ``(P, 3)``.

    Returns:
        In the points' unit, ``(...)``.
    """
    difference = np.asarray(estimated, np.float64) - np.asarray(true, np.float64)
    points = np.asarray(points, np.float64)
    moved = points @ np.swapaxes(difference[..., :3, :3], -1, -2) + difference[..., None, :3, 3]
    return np.linalg.norm(moved, axis=-1).mean(axis=-1)


def average_nearest_distance(estimated: ArrayLike, true: ArrayLike, points: ArrayLike) -> float:
    """ADD-S: mean distance of each true point to the nearest estimated one, for one pair of poses.

    The measure for symmetric objects of Hinterstoisser et al. (ACCV 2012); shapes as in `average_distance`.
    """
    points = np.asarray(points, np.float64)
    estimated, true = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
    there = points @ estimated[:3, :3].T + estimated[:3, 3]
    wanted = points @ true[:3, :3].T + true[:3, 3]
    return float(cKDTree(there).query(wanted)[0].mean())


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[object],
    statistic: Callable[[Array], float],
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic when whole objects, not single images, are drawn again.

    Images of one object err together; drawing them one by one would give intervals far too narrow
    (Field and Welsh, JRSS B 2007: the cluster bootstrap).

    Args:
        values: one a sample, ``(N,)``.
        groups: the object of each sample, N of any hashable kind.
        statistic: of a set of values.
        confidence: share of the resamples inside the interval.
        resamples: how often to draw.
        seed: of the draws.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: no values, or not one group a value.
    """
    values = np.asarray(values, dtype=np.float64)
    if not values.size or len(groups) != len(values):
        raise ValueError(f"{len(values)} values in {len(groups)} groups: need one group a value")
    members: dict[object, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    clusters = [values[indices] for indices in members.values()]
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(clusters), size=(resamples, len(clusters)))
    drawn = [statistic(np.concatenate([clusters[i] for i in draw])) for draw in draws]
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
