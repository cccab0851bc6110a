"""Precision and recall of detections whose pose must be right, too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from surfpose_ros.evaluation.metrics import Array


@dataclass(frozen=True)
class DetectionFigures:
    """How well objects were found.

    Attributes:
        precision: after each detection, best score first, over all images, ``(D,)``.
        recall: the same, ``(D,)``.
        scores: of the detections, falling, ``(D,)``.
        average_precision: area under the precision envelope over recall (PASCAL VOC 2010 and COCO's
            definition, at every recall rather than 101 of them).
        truths: how many objects there were.
    """

    precision: Array
    recall: Array
    scores: Array
    average_precision: float
    truths: int


def match_detections(scores: ArrayLike, correct: ArrayLike) -> tuple[list[int], Array]:
    """Give each detection of an image at most one object, best score first, as PASCAL VOC does.

    Args:
        scores: of the detections, ``(D,)``.
        correct: value of each detection for each object, above zero where it would be right, ``(D, T)``.

    Returns:
        The object of each detection, -1 for none; and which objects were found, ``(T,)`` bool.
    """
    values = np.asarray(correct, np.float64)
    found = np.zeros(values.shape[1], dtype=bool)
    matches = [-1] * len(values)
    for index in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        free = np.where(found, 0.0, values[index])
        if free.size and free.max() > 0:
            matches[index] = int(free.argmax())
            found[matches[index]] = True
    return matches, found


def detection_figures(scores: Sequence[float], right: Sequence[bool], truths: int) -> DetectionFigures:
    """Precision and recall over all images, from each detection's score and whether it was right.

    Args:
        scores: of every detection in every image.
        right: whether `match_detections` gave it an object.
        truths: number of objects in all images.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    hits = np.asarray(right, dtype=bool)[order]
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    recall = found / max(truths, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    return DetectionFigures(
        precision=precision,
        recall=recall,
        scores=np.asarray(scores, np.float64)[order],
        average_precision=float((steps * envelope).sum()),
        truths=truths,
    )
