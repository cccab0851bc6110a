"""How well the videos of a category were aligned: the angle between the labels' frames of every pair.

If R_i is canonical_from_label as video i tells it, a perfect alignment has R_i = R_j for all pairs; which
rotation that is does not matter, so no axes need to be agreed on. A video that the alignment set aside
fails in all its pairs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.label_frames import VideoLabels, canonical_from_label, median_up_to
from surfpose_ros.evaluation.metrics import Array, rotation_error, rotation_figures
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.surface.surface import load_surface


@dataclass(frozen=True)
class AlignmentScore:
    """The rotation errors of one category's alignment.

    Attributes:
        category: of the alignment.
        names: of the videos, aligned ones first.
        pair_errors: degrees, ``(N, N)`` symmetric; NaN where either video was set aside.
        errors: of each video against the median of all, degrees, ``(N,)``; NaN where set aside.
        set_aside: video to the reason.
    """

    category: str
    names: list[str]
    pair_errors: Array
    errors: Array
    set_aside: dict[str, str]

    @property
    def pairs(self) -> Array:
        """The error of each pair once, ``(N (N - 1) / 2,)``."""
        return self.pair_errors[np.triu_indices(len(self.names), 1)]

    @property
    def pair_names(self) -> list[tuple[str, str]]:
        """The videos of each of `pairs`."""
        return list(combinations(self.names, 2))


def score_alignment(
    alignment: Alignment, videos: Mapping[str, VideoLabels], symmetry: Symmetry | None = None
) -> AlignmentScore:
    """Compare an alignment with the labels of its videos.

    Args:
        alignment: of one category.
        videos: labels by video, see `read_video_labels`; those of other categories are left out, and
            those that the alignment does not name count as set aside.
        symmetry: of the objects in the labels' frame; None counts every turn.

    Raises:
        SurfposeError: an aligned video without labels, or fewer than two videos.
    """
    missing = [name for name in alignment.canonical_from_video if name not in videos]
    if missing:
        raise SurfposeError(
            f"the alignment names the video {missing[0]}, and there is no such capture; "
            f"the captures are {', '.join(sorted(videos)[:5])}{', ...' if len(videos) > 5 else ''}"
        )
    aligned = list(alignment.canonical_from_video)
    set_aside = {
        name: alignment.set_aside.get(name, "not in the alignment")
        for name, video in videos.items()
        if name not in alignment.canonical_from_video and video.category == alignment.category
    }
    names = aligned + list(set_aside)
    if len(names) < 2:
        raise SurfposeError(
            f"{alignment.category}: pairs need at least two videos, and there is {len(names)}"
        )
    pair_errors = np.full((len(names), len(names)), np.nan)
    errors = np.full(len(names), np.nan)
    if aligned:
        rotations = np.stack(
            [canonical_from_label(alignment.canonical_from_video[name], videos[name]) for name in aligned]
        )
        count = len(aligned)
        pair_errors[:count, :count] = rotation_error(rotations[:, None], rotations[None], symmetry)
        median = median_up_to(torch.from_numpy(rotations), symmetry or Symmetry()).numpy()
        errors[:count] = rotation_error(rotations, median, symmetry)
    return AlignmentScore(alignment.category, names, pair_errors, errors, set_aside)


def alignment_figures(scores: list[AlignmentScore]) -> dict[str, object]:
    """Figures over the pairs of all categories, of each category, and the mean of the categories."""
    per_category = {score.category: _category_figures(score) for score in scores}
    figures: dict[str, object] = dict(rotation_figures(np.concatenate([score.pairs for score in scores])))
    figures["mean_of_categories"] = {
        key: float(np.mean([rotation_figures(score.pairs)[key] for score in scores]))
        for key in ("acc30", "acc15", "acc10", "acc5", "median_deg")
    }
    figures["categories"] = per_category
    return figures


def pair_interval(
    score: AlignmentScore,
    statistic: Callable[[Array], float],
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic of the pair errors when the videos are drawn again.

    A pair of one video with itself, which drawing with replacement brings about, is left out.
    """
    generator = np.random.default_rng(seed)
    count = len(score.names)
    upper = np.triu_indices(count, 1)
    drawn = []
    for draw in generator.integers(count, size=(resamples, count)):
        first, second = draw[upper[0]], draw[upper[1]]
        kept = first != second
        if kept.any():
            drawn.append(statistic(score.pair_errors[first[kept], second[kept]]))
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def alignment_tables(scores: list[AlignmentScore]) -> list[Table]:
    """Accuracy over pairs, one row a category; and one row a video."""
    rows = []
    for score in scores:
        figures = rotation_figures(score.pairs)
        low, high = pair_interval(score, _acc30)
        rows.append(
            (
                score.category,
                len(score.names),
                len(score.set_aside),
                figures["n"],
                *(100 * float(figures[key] or 0) for key in ("acc30", "acc15", "acc10")),
                f"{100 * low:.0f}-{100 * high:.0f}",
                figures["median_deg"],
            )
        )
    columns = ("category", "videos", "set aside", "pairs", "Acc30", "Acc15", "Acc10", "Acc30 95%", "median")
    pairs = Table(
        "Relative rotation over all pairs of videos, accuracies in per cent, angles in degrees",
        columns,
        rows,
        note="A pair with a video that was set aside counts as failed.",
    )
    worst = Table(
        "Every video against the median of its category",
        ("category", "video", "error deg", "set aside because"),
        [
            (score.category, name, None if np.isnan(error) else float(error), score.set_aside.get(name, ""))
            for score in scores
            for name, error in sorted(zip(score.names, score.errors, strict=True), key=_worst_first)
        ],
    )
    return [pairs, worst]


def aligned_meshes(alignment: Alignment, surfaces: Path) -> dict[str, Mesh]:
    """The mesh of every aligned video in the canonical frame, from a folder of surfaces.

    Raises:
        SurfposeError: a surface is missing or damaged.
    """
    return {
        name: load_surface(surfaces, name).mesh.transformed(pose)
        for name, pose in alignment.canonical_from_video.items()
    }


def _category_figures(score: AlignmentScore) -> dict[str, object]:
    return {
        **rotation_figures(score.pairs),
        "acc30_interval": list(pair_interval(score, _acc30)),
        "videos": {
            name: None if np.isnan(error) else float(error)
            for name, error in zip(score.names, score.errors, strict=True)
        },
        "set_aside": score.set_aside,
    }


def _acc30(errors: Array) -> float:
    return float((errors < 30).mean())


def _worst_first(item: tuple[str, float]) -> float:
    return -float(np.nan_to_num(item[1], nan=np.inf))
