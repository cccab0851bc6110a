"""What the ways share: an image and a box in, a rotation out, and a crop seen by the model's network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.views import TrainingViews, collect_views
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.pose import Estimator
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import toward
from surfpose_ros.pose.detection import Detection, PoseHypothesis, PoseResult
from surfpose_ros.pose.estimator import assumed_camera, check_box
from surfpose_ros.pose.localise import STRIDE
from surfpose_ros.pose.looking import Box, CropView, look_at
from surfpose_ros.pose.placing import crop_camera
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.capture import captures_by_name
from surfpose_ros.video.reader import read_capture

# The rotation camera_from_object, (3, 3), of the object in a box; None if the way finds none.
Way = Callable[[np.ndarray, Camera | None, Box], Tensor | None]


def as_estimator(way: Way, category: str) -> Estimator:
    """A way in the form that `evaluate_poses` takes; it needs boxes."""

    def estimate(image: np.ndarray, camera: Camera | None, boxes: np.ndarray | None) -> PoseResult:
        detections = []
        for box in () if boxes is None else boxes:
            given = check_box(box, image)
            rotation = way(image, camera, given)
            if rotation is not None:
                pose = np.eye(4)
                pose[:3, :3] = rotation.double().cpu().numpy()
                hypothesis = PoseHypothesis(pose, 1.0, np.eye(6))
                detections.append(Detection(category, 1.0, given, (hypothesis,), np.ones(3), metric=False))
        return PoseResult(tuple(detections), 1.0, "" if detections else "no pose fits", {})

    return estimate


def see(
    model: CategoryModel, image: np.ndarray, camera: Camera | None, box: Box
) -> tuple[CropView, Tensor]:
    """The crop of a box as the network sees it, and the intrinsics of its cells, ``(3, 3)``."""
    view = look_at(image, [box], True, camera or assumed_camera(image), model)[0]
    cells = view.features.shape[-1]
    crop = view.camera.cropped(0, 0, cells, cells, 1 / STRIDE)
    intrinsics = torch.from_numpy(crop.matrix) if camera is not None else None
    return view, crop_camera(intrinsics, view.features)


def turn_to(camera: Camera | None, box: Box) -> Tensor:
    """The turn ``(3, 3)`` from straight ahead to a box's middle; none without intrinsics."""
    if camera is None:
        return torch.eye(3)
    middle = np.array([box[0] + box[2] / 2 - 0.5, box[1] + box[3] / 2 - 0.5, 1.0])
    return toward(torch.from_numpy(np.linalg.solve(camera.matrix, middle)).float())


def training_views(model: CategoryModel, captures: Path, surfaces: Path) -> TrainingViews:
    """The views that the model was trained on, cut and labelled again.

    Args:
        model: names its captures and their alignment.
        captures: folder of captures with those among them.
        surfaces: folder of their surfaces.

    Raises:
        SurfposeError: one of its captures or surfaces is missing.
    """
    kept = {name: np.array(pose) for name, pose in sorted(model.info.captures.items())}
    folders = captures_by_name([captures])
    missing = [name for name in kept if name not in folders]
    if missing:
        raise SurfposeError(f"{captures}: no {missing[0]}, of which the model learnt")
    loaded = {name: load_surface(surfaces, name) for name in kept}
    videos = (read_capture(folders[name], "none") for name in kept)
    return collect_views(videos, loaded, kept, model.template)
