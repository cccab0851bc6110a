"""How each surface's object is truly turned in its video's frame, from labels or from a simulation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import read_json
from surfpose_ros.geometry.rotations import median_rotation
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.labels import LabelRow, read_labels


def read_video_from_object(
    surfaces: Sequence[Surface], files: Sequence[Path], root: Path | None = None
) -> list[np.ndarray]:
    """``video_from_object`` rotation ``(3, 3)`` of every surface.

    Args:
        surfaces: with the names of their frames as the labels' images, or with a simulation's names.
        files: labels CSVs, and JSON files as `surfpose simulate` writes beside its captures.
        root: what the CSVs' image names are relative to; each CSV's folder if None.

    Raises:
        SurfposeError: a surface of which no file tells the truth.
    """
    labels: dict[str, LabelRow] = {}
    simulated: dict[tuple[str, str], np.ndarray] = {}
    for path in files:
        if path.suffix == ".json":
            content = read_json(path, kind="truth of simulated captures", version=1)["video_from_object"]
            # The folder of the captures is named after the category: names repeat across categories.
            simulated |= {(path.parent.name, name): np.array(pose) for name, pose in content.items()}
        else:
            labels |= {row.image: row for row in read_labels(path, root or path.parent)}
    return [_video_from_object(surface, labels, simulated) for surface in surfaces]


def _video_from_object(
    surface: Surface, labels: dict[str, LabelRow], simulated: dict[tuple[str, str], np.ndarray]
) -> np.ndarray:
    pose = simulated.get((surface.category, surface.name))
    if pose is not None:
        return np.asarray(decompose_similarity(torch.from_numpy(pose))[0].numpy())
    rotations = [
        view.camera_from_video[:3, :3].T @ labels[view.frame].rotation
        for view in surface.views
        if view.frame in labels
    ]
    if not rotations:
        raise SurfposeError(
            f"{surface.name}: no truth for it; give its labels CSV or truth.json with --truth"
        )
    return np.asarray(median_rotation(torch.from_numpy(np.stack(rotations))).numpy())
