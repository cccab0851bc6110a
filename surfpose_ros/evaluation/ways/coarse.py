"""Our search without its refinement: the best of the tabulated views."""

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.evaluation.ways.way import see
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.crop import CropSearch
from surfpose_ros.pose.looking import Box


class CoarseSearch:
    """A `Way`."""

    def __init__(self, model: CategoryModel) -> None:
        self.search = CropSearch(model)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor:
        """The view that scores best."""
        view, intrinsics = see(self.search.model, image, camera, box)
        mirrored = None if view.mirrored is None else view.mirrored[None]
        log_probability = self.search.explained(view.features[None], mirrored)
        outline = view.outline.to(log_probability)[None]
        return self.search.starts(log_probability, intrinsics[None], outline).rotation[0]
