"""How well a model tells the poses of frames of its own training captures: all that needs no labels.

The truth is the surfaces' camera poses brought into the canonical frame by the alignment. The model has
seen these frames, so the figures say whether it learnt, and nothing about objects it never saw.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.category.model import CategoryModel, load_category_model, save_category_model
from surfpose_ros.evaluation.metrics import rotation_error, rotation_figures
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.reader import read_capture

KEY = "own_frames"
FRAMES = 24  # in all, some seconds' work on two cores


def measure_own_frames(
    folder: Path,
    captures: Sequence[Path],
    surfaces: Path,
    device: str = "cpu",
    progress: Progress = silent,
    masks: str = "auto",
) -> dict[str, Any]:
    """The model's figures on frames of its captures; they are kept in the model's `category.yaml`.

    Args:
        folder: of the category model.
        captures: capture folders, those that it was trained on among them.
        surfaces: folder of their surfaces, which know where each frame was seen from.
        device: where the network runs.
        progress: told of each capture.
        masks: where the captures' masks come from, as in training.

    Returns:
        All figures of the model; `own_frames` are as `rotation_figures`, the box of the mask being given
        and the model's symmetry forgiven.

    Raises:
        SurfposeError: a model, surface or capture that cannot be read.
    """
    model = load_category_model(folder, device)
    if KEY not in model.info.figures:
        figures = {**model.info.figures, KEY: _measure(model, captures, surfaces, progress, masks)}
        model = replace(model, info=replace(model.info, figures=figures))
        save_category_model(model, folder)
    return model.info.figures


def _measure(
    model: CategoryModel, captures: Sequence[Path], surfaces: Path, progress: Progress, masks: str
) -> dict[str, Any]:
    folders = {path.resolve().name: path for path in captures}
    known = [name for name in model.info.captures if name in folders]
    estimator = PoseEstimator([model])
    each = max(1, FRAMES // max(1, len(known)))
    errors: list[float] = []
    for name in track(known, progress, "measure", len(known)):
        frames = {frame.name: frame for frame in read_capture(folders[name], masks=masks).frames}
        similarity = np.array(model.info.captures[name])[:3, :3]
        video_from_canonical = (similarity / np.cbrt(np.linalg.det(similarity))).T
        views = load_surface(surfaces, name).views
        for index in np.linspace(0, len(views) - 1, min(each, len(views))).round().astype(int):
            frame = frames[views[index].frame]
            if frame.mask is None or not frame.mask.any():
                continue
            found = estimator(frame.image, frame.camera, masks=frame.mask[None]).detections[0]
            true = views[index].camera_from_video[:3, :3] @ video_from_canonical
            rotation = found.hypotheses[0].camera_from_object[:3, :3]
            errors.append(float(rotation_error(rotation, true, model.symmetry)))
    return rotation_figures(errors)
