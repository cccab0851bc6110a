"""What the alignment of a category says, and its JSON file."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import read_json, write_json
from surfpose_ros.geometry.symmetry import Symmetry, symmetry_from_dict

FORMAT_VERSION = 1


@dataclass(frozen=True)
class PairOutcome:
    """What the one-to-one alignment of two videos found.

    Attributes:
        source: name of a video.
        target: name of the other.
        distance: saturated D of the best transform, in diameters; None if no sample was usable.
        runner_up: D of the best one that is turned otherwise; None if there is none.
        off_deg: angle between the pair's own best rotation and the one that all pairs agreed on.
    """

    source: str
    target: str
    distance: float | None
    runner_up: float | None
    off_deg: float


@dataclass(frozen=True)
class Alignment:
    """A similarity for every video of a category, into the canonical frame.

    Attributes:
        category: of the videos.
        canonical_from_video: name of each aligned video to its similarity, ``(4, 4)`` float64. The
            canonical frame has its origin at the centre of the mean bounding box, z up, x to the
            front, y to the left; its unit is the mean diagonal of the bounding boxes.
        confidence: of each aligned video, 0 to 1: weighted share of the others whose own pairwise
            alignment agrees.
        set_aside: videos left out, each with the reason.
        pairs: outcome of every pair.
        symmetry: turns of the canonical frame that change nothing.
        axes: where "up" and "front" come from, for people.
        settings: with which it was made.
    """

    category: str
    canonical_from_video: dict[str, np.ndarray]
    confidence: dict[str, float]
    set_aside: dict[str, str] = field(default_factory=dict)
    pairs: tuple[PairOutcome, ...] = ()
    symmetry: Symmetry = field(default_factory=Symmetry)
    axes: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def relabelled(self, rotation: np.ndarray, axes: dict[str, str]) -> "Alignment":
        """The same alignment in a frame turned by `rotation`, ``(3, 3)`` new_from_old."""
        turn = np.eye(4)
        turn[:3, :3] = rotation
        return replace(
            self,
            canonical_from_video={name: turn @ pose for name, pose in self.canonical_from_video.items()},
            symmetry=self.symmetry.turned(torch.from_numpy(rotation)),
            axes=self.axes | axes,
        )


def write_alignment(path: Path, alignment: Alignment) -> None:
    """Write the alignment as JSON, whole or not at all."""
    write_json(
        path,
        {
            "format_version": FORMAT_VERSION,
            "category": alignment.category,
            "canonical_from_video": {
                name: pose.tolist() for name, pose in alignment.canonical_from_video.items()
            },
            "confidence": alignment.confidence,
            "set_aside": alignment.set_aside,
            "symmetry": alignment.symmetry.as_dict(),
            "axes": alignment.axes,
            "settings": alignment.settings,
            "pairs": [
                [pair.source, pair.target, pair.distance, pair.runner_up, pair.off_deg]
                for pair in alignment.pairs
            ],
        },
    )


def read_alignment(path: Path) -> Alignment:
    """Read what `write_alignment` wrote.

    Raises:
        SurfposeError: missing, not an alignment, of an unknown version, or with broken transforms.
    """
    content = read_json(path, kind="alignment", version=FORMAT_VERSION)
    try:
        return Alignment(
            category=str(content["category"]),
            canonical_from_video={
                str(name): _similarity(path, name, pose)
                for name, pose in content["canonical_from_video"].items()
            },
            confidence={str(name): float(value) for name, value in content["confidence"].items()},
            set_aside=dict(content["set_aside"]),
            pairs=tuple(PairOutcome(*row) for row in content["pairs"]),
            symmetry=symmetry_from_dict(content["symmetry"]),
            axes=dict(content["axes"]),
            settings=dict(content["settings"]),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise SurfposeError(
            f"{path}: not a whole alignment ({error!r}); run surfpose align again"
        ) from error


def _similarity(path: Path, name: str, rows: Any) -> np.ndarray:
    pose = np.asarray(rows, dtype=np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all() or np.linalg.det(pose[:3, :3]) <= 0:
        raise SurfposeError(f"{path}: the transform of {name} is no similarity; run surfpose align again")
    return pose
