"""Scores alignments of CO3D as the paper's authors released them, with our metric.

The file holds the authors' similarities of each video to a reference (`aligned_..._keys`, `..._tform`,
one pair a variant and reference) and manual ones of some videos (`label_keys`, `label_tform`). All take
a video's frame to a common one, so the rotation between two videos of a category can be compared.
"""

import re
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.metrics import rotation_error, rotation_figures
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.progress import Progress, track

_SOLUTION = re.compile(r"aligned_(?:.*_)?(?P<variant>dinov2\w*?)_r(?P<reference>\d+)_keys")


def run(
    data: Annotated[Path, typer.Option("--data", help="The npz of released alignments and labels.")],
    progress: Progress,
) -> BenchmarkResult:
    """Rotation errors over all pairs of labelled videos of a category, pooled over the references."""
    arrays = _load(data)
    labels = dict(zip(arrays["label_keys"], _rotations(arrays["label_tform"]), strict=True))
    errors: dict[str, dict[str, list[float]]] = {}
    names = [match for match in map(_SOLUTION.fullmatch, arrays) if match]
    for match in track(names, progress, "score", total=len(names)):
        keys = arrays[match.group()]
        rotations = _rotations(arrays[match.group().removesuffix("keys") + "tform"])
        solution = dict(zip(keys, rotations, strict=True))
        per_category = errors.setdefault(match["variant"], {})
        for category, values in pair_errors(solution, labels).items():
            per_category.setdefault(category, []).extend(values)
    figures = {
        variant: rotation_figures(np.concatenate(list(values.values())))
        for variant, values in errors.items()
    }
    columns = ("variant", "pairs", "Acc30", "Acc15", "Acc10", "median (deg)")
    rows = [
        (variant, row["n"], row["acc30"], row["acc15"], row["acc10"], row["median_deg"])
        for variant, row in figures.items()
    ]
    categories = {
        variant: {name: rotation_figures(np.array(v)) for name, v in sorted(values.items())}
        for variant, values in errors.items()
    }
    return BenchmarkResult(
        "published-alignment",
        {**figures, "categories": categories},
        [Table("Released alignments of CO3D, all pairs of labelled videos", columns, rows, digits=3)],
    )


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """The manual labels: ``common_from_video`` rotation ``(3, 3)`` of each "category/video"."""
    arrays = _load(path)
    return dict(zip(arrays["label_keys"].tolist(), _rotations(arrays["label_tform"]), strict=True))


def pair_errors(solution: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Error in degrees of the relative rotation of each pair of videos of a category that both hold.

    Args:
        solution: ``common_from_video`` rotation ``(3, 3)`` of each "category/video".
        labels: the true ones.

    Returns:
        Errors by category.
    """
    members: dict[str, list[str]] = {}
    for key in labels:
        if key in solution:
            members.setdefault(key.partition("/")[0], []).append(key)
    return {
        category: [
            float(rotation_error(solution[b].T @ solution[a], labels[b].T @ labels[a]))
            for a, b in combinations(keys, 2)
        ]
        for category, keys in members.items()
    }


def _rotations(transforms: np.ndarray) -> np.ndarray:
    linear = transforms[:, :3, :3].astype(np.float64)
    return linear / np.cbrt(np.linalg.det(linear))[:, None, None]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
    except (OSError, ValueError) as error:
        raise SurfposeError(f"{path}: cannot be read as released alignments ({error})") from error
    if "label_keys" not in arrays or "label_tform" not in arrays:
        raise SurfposeError(f"{path}: no labels in it (label_keys, label_tform)")
    return arrays
