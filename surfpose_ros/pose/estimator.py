"""Poses of the objects of given categories in one image."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.augment import CROP_MARGIN
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.network import NetworkOutput
from surfpose_ros.category.views import box_crop
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.crop import CropPoses, CropSearch, SearchSettings
from surfpose_ros.pose.depth import scale_from_depth
from surfpose_ros.pose.detection import Detection, PoseHypothesis, PoseResult
from surfpose_ros.pose.localise import OVERLAP, STRIDE, middle, overlap, propose
from surfpose_ros.pose.score import detection_score, log_odds

SETTLED = 0.8  # overlap of a box with what its crop tells, above which it needs no second look


@dataclass(frozen=True)
class EstimatorSettings:
    """How images are searched.

    Attributes:
        threshold: detections of a lower score are dropped; their best score is reported.
        max_objects: of each category in one image.
        search: of the poses of one object.
    """

    threshold: float = 0.5
    max_objects: int = 4
    search: SearchSettings = field(default_factory=SearchSettings)


class PoseEstimator:
    """Finds objects and their poses; keeps what is computed once a model."""

    def __init__(self, models: list[CategoryModel], settings: EstimatorSettings | None = None) -> None:
        if not models:
            raise SurfposeError(
                "no category model given; pass the folder of one that `surfpose retrain` made"
            )
        self.settings = settings or EstimatorSettings()
        self.searches = [CropSearch(model, self.settings.search) for model in models]

    def __call__(
        self,
        image: np.ndarray,
        camera: Camera | None = None,
        boxes: np.ndarray | None = None,
        masks: np.ndarray | None = None,
        depth: np.ndarray | None = None,
    ) -> PoseResult:
        """Find the objects of all categories.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, undistorted.
            camera: intrinsics; None if unknown: rotations and image positions hold, distances do not.
            boxes: (x, y, width, height) of objects somebody else has found, ``(N, 4)``, (0, 0) the image's
                upper left corner; None to search.
            masks: of the same objects, ``(N, H, W)`` bool; their boxes are taken.
            depth: aligned with the image, metres, ``(H, W)``; zero or NaN where unknown.

        Raises:
            SurfposeError: the image is not 8-bit RGB, or a box lies outside it.
        """
        check_image(image)
        clock = _Clock()
        if masks is not None:
            boxes = np.array([_mask_box(mask) for mask in masks])
        detections: list[Detection] = []
        best = 0.0
        for search in self.searches:
            if boxes is None:
                told = propose(image, search.model, self.settings.max_objects)
                wanted = [proposal.box for proposal in told]
            else:
                wanted = [check_box(box, image) for box in boxes]
            clock.lap("localise")
            found = [self._estimate(image, camera, box, boxes is not None, search, depth, clock)
                     for box in wanted]  # fmt: skip
            best = max([best, *(detection.score for detection in found)])
            # A given box holds an object, says whoever gave it: it is never dropped.
            least = self.settings.threshold if boxes is None else 0.0
            detections += _suppress([d for d in found if d.score >= least], boxes is not None)
        detections.sort(key=lambda detection: -detection.score)
        reason = "" if detections else self._why_empty(boxes, best)
        return PoseResult(tuple(detections), best, reason, clock.seconds)

    def _why_empty(self, boxes: np.ndarray | None, best: float) -> str:
        if boxes is not None:
            return "no boxes were given"
        return f"nothing above the threshold {self.settings.threshold:.2f}; the best score was {best:.2f}"

    def _estimate(
        self,
        image: np.ndarray,
        camera: Camera | None,
        box: tuple[float, float, float, float],
        box_exact: bool,
        search: CropSearch,
        depth: np.ndarray | None,
        clock: "_Clock",
    ) -> Detection:
        size = search.model.info.input_size
        height, width = image.shape[:2]
        whole = camera or Camera(np.array([[width, 0, 0], [0, width, 0], [0, 0, 1]]), width, height)
        with torch.inference_mode():
            output, crop_camera = _look_at(image, box, whole, search.model)
            outline, chance = middle(output)
            if box_exact:
                outline = box_in_cells(box, size)
            else:
                told = box_in_image(outline, crop_camera, whole)
                if overlap(told, box) < SETTLED:  # seen from nearer, the box is another: look there
                    output, crop_camera = _look_at(image, told, whole, search.model)
                    outline, chance = middle(output)
                    told = box_in_image(outline, crop_camera, whole)
                box = told
            clock.lap("network")
            cells = crop_camera.cropped(0, 0, size // STRIDE, size // STRIDE, 1 / STRIDE)
            intrinsics = torch.from_numpy(cells.matrix) if camera is not None else None
            poses = search(output.features[0], intrinsics, outline)
        detection = to_detection(poses, search, box, chance, camera is not None)
        if depth is not None and camera is not None:
            detection = scale_from_depth(detection, search.caster, camera, depth)
        clock.lap("pose")
        return detection


def _look_at(
    image: np.ndarray, box: tuple[float, float, float, float], camera: Camera, model: CategoryModel
) -> tuple[NetworkOutput, Camera]:
    """The network's output of the crop about a box, and the crop's camera."""
    crop, crop_camera = box_crop(image, box, camera, model.info.input_size, CROP_MARGIN)
    pixels = torch.from_numpy(crop).to(model.device).permute(2, 0, 1)[None].float() / 255
    return model.network(pixels), crop_camera


def to_detection(
    poses: CropPoses,
    search: CropSearch,
    box: tuple[float, float, float, float],
    chance: float,
    has_camera: bool,
) -> Detection:
    """A crop's poses, and the chance that it shows the object, as the rest of the world wants them."""
    model = search.model
    metric = has_camera and model.size_m is not None
    unit = model.size_m if metric and model.size_m else 1.0
    weights = poses.log_odds.softmax(dim=0)
    hypotheses = []
    for index, weight in enumerate(weights.tolist()):
        pose = np.eye(4)
        pose[:3, :3] = poses.hypotheses.rotation[index].double().cpu().numpy()
        pose[:3, 3] = poses.hypotheses.translation[index].double().cpu().numpy() * unit
        hypotheses.append(PoseHypothesis(pose, weight, _covariance(poses.information[index], unit)))
    evidence = {"gain": poses.gain, "chance": log_odds(chance)}
    score = detection_score(evidence, model.info.calibration)
    extent = model.template.extent * np.exp(poses.hypotheses.stretch[0].cpu().numpy())
    size = extent / np.linalg.norm(extent) * unit
    return Detection(model.name, score, box, tuple(hypotheses), size, metric, evidence)


def box_in_cells(box: tuple[float, float, float, float], size: int) -> Tensor:
    """Where a box lies in its own crop: (low x, low y, high x, high y) in cells, centres at integers."""
    _, _, width, height = box
    cells = size / STRIDE
    half = torch.tensor([width, height]) / max(width, height) * cells / CROP_MARGIN / 2
    middle = torch.tensor([cells / 2 - 0.5, cells / 2 - 0.5])
    return torch.cat([middle - half, middle + half])


def check_image(image: np.ndarray) -> None:
    """Refuse anything but 8-bit RGB.

    Raises:
        SurfposeError: says what the image is instead.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 8:
        raise SurfposeError(
            f"an image of shape {image.shape} and type {image.dtype}; "
            "it takes 8-bit RGB, 8 pixels a side at least"
        )


def check_box(box: np.ndarray, image: np.ndarray) -> tuple[float, float, float, float]:
    """The part of a box (x, y, width, height) that lies in the image.

    Raises:
        SurfposeError: not finite, empty, or wholly outside.
    """
    x, y, width, height = (float(value) for value in box)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(image.shape[1])), min(y + height, float(image.shape[0]))
    if not np.isfinite(box).all() or right - left < 1 or bottom - top < 1:
        raise SurfposeError(
            f"box ({x:g}, {y:g}, {width:g}, {height:g}) holds no pixel of the "
            f"{image.shape[1]}x{image.shape[0]} image; boxes are x, y, width, height in pixels"
        )
    return left, top, right - left, bottom - top


def _mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise SurfposeError("a mask is empty; leave out objects that are not seen")
    return (
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )


def _covariance(information: Tensor, unit: float) -> np.ndarray:
    """Covariance of (x, y, z, rx, ry, rz) from the information on (rotation, translation)."""
    order = [3, 4, 5, 0, 1, 2]
    matrix = information.double().cpu().numpy()[np.ix_(order, order)]
    covariance = np.linalg.inv(matrix + 1e-3 * np.eye(6))
    scale = np.array([unit] * 3 + [1.0] * 3)
    return covariance * scale[:, None] * scale


def _suppress(detections: list[Detection], given: bool) -> list[Detection]:
    """Drop detections of what a better one has found already; boxes that were given all stay."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if given or all(overlap(detection.box, other.box) < OVERLAP for other in kept):
            kept.append(detection)
    return kept


def box_in_image(cells: Tensor, crop: Camera, image: Camera) -> tuple[float, float, float, float]:
    """x, y, width, height in the image of a box in cells (low x, low y, high x, high y) of its crop."""
    scale = crop.matrix[0, 0] / image.matrix[0, 0]
    origin = image.matrix[:2, 2] + 0.5 - (crop.matrix[:2, 2] + 0.5) / scale
    low, high = (cells.numpy().reshape(2, 2) + 0.5) * STRIDE / scale + origin
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


class _Clock:
    """Time of each named stage, summed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
