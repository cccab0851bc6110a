"""The rotation of the nearest training view: feature maps, stretched to their boxes, cell by cell."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.views import TrainingViews
from surfpose_ros.evaluation.ways.way import see, turn_to
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.looking import Box
from surfpose_ros.progress import Progress, silent, track

GRID = 14  # cells along each side of a stretched map


class Retrieval:
    """A `Way`: the mean cosine over the cells that show the object in the training view."""

    def __init__(self, model: CategoryModel, views: TrainingViews, progress: Progress = silent) -> None:
        self.model = model
        self.rotations = views.rotations
        maps = []
        for index in track(range(len(views)), progress, "remember", len(views)):
            picture = views.images[index].permute(1, 2, 0).contiguous().numpy()
            mask = views.masks[index, 0].numpy()
            x, y, width, height = cv2.boundingRect(mask)
            features = self._stretched(picture, None, (x, y, width, height))
            inside = mask[y : y + height, x : x + width]
            shown = cv2.resize(inside, (GRID, GRID), interpolation=cv2.INTER_AREA) > 127
            weights = torch.from_numpy(shown / max(shown.sum(), 1)).to(features)
            maps.append((features * weights).flatten())
        self.maps = torch.stack(maps)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor:
        """The rotation of the most similar view."""
        return turn_to(camera, box) @ self.rotations[self.nearest(image, camera, box)]

    def nearest(self, image: np.ndarray, camera: Camera | None, box: Box) -> int:
        """Index of the most similar view."""
        return int((self.maps @ self._stretched(image, camera, box).flatten()).argmax())

    @torch.inference_mode()
    def _stretched(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor:
        """Features over a box, ``(D, GRID, GRID)``."""
        view, _ = see(self.model, image, camera, box)
        steps = (torch.arange(GRID) + 0.5) / GRID
        low, high = view.outline[:2], view.outline[2:]
        cells = low + steps[:, None] * (high - low)  # x and y of the columns and rows
        where = (2 * cells + 1) / view.features.shape[-1] - 1
        grid = torch.stack(torch.meshgrid(where[:, 0], where[:, 1], indexing="xy"), dim=-1)
        return grid_sample(view.features[None], grid[None].to(view.features), align_corners=False)[0]
