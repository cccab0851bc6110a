"""Poses of the objects of given categories in one image."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.crop import CropPoses, CropSearch, SearchSettings
from surfpose_ros.pose.depth import scale_from_depth
from surfpose_ros.pose.detection import Detection, PoseHypothesis, PoseResult
from surfpose_ros.pose.localise import OVERLAP, STRIDE, overlap, propose
from surfpose_ros.pose.looking import Box, CropView, look_at
from surfpose_ros.pose.on_gpu import GpuSearch
from surfpose_ros.pose.score import detection_score, log_odds

POSITION_FIRST = [3, 4, 5, 0, 1, 2]  # from (rotation, translation) to ROS's order
LEAST_INFORMATION = 1e-3 * np.eye(6)  # so that what nothing was told of has a covariance too


@dataclass(frozen=True)
class EstimatorSettings:
    """How images are searched.

    Attributes:
        threshold: detections of a lower score are dropped; their best score is reported.
        max_objects: of each category in one image.
        search: of the poses of one object.
        mirror: look at mirrored crops too, of a category with a mirror plane, where objects are not
            followed: a little better, for twice the network's time.
        compiled: let PyTorch compile the search on a GPU: faster, but for half a minute at the start. What
            is faster on a CPU is `category.on_cpu.compiled_on_cpu`.
    """

    threshold: float = 0.5
    max_objects: int = 4
    search: SearchSettings = field(default_factory=SearchSettings)
    mirror: bool = True
    compiled: bool = False


class PoseEstimator:
    """Finds objects and their poses; keeps what is computed once a model."""

    def __init__(self, models: list[CategoryModel], settings: EstimatorSettings | None = None) -> None:
        if not models:
            raise SurfposeError(
                "no category model given; pass the folder of one that `surfpose retrain` made"
            )
        self.settings = settings or EstimatorSettings()
        self.searches = [CropSearch(model, self.settings.search) for model in models]
        on_gpu = [search for search in self.searches if search.model.device.type == "cuda"]
        self._devices = {search.model.device for search in self.searches}
        self._on_gpu = {search: GpuSearch(search, self.settings.compiled) for search in on_gpu}

    def __call__(
        self,
        image: np.ndarray,
        camera: Camera | None = None,
        boxes: np.ndarray | None = None,
        masks: np.ndarray | None = None,
        depth: np.ndarray | None = None,
        expected: Mapping[str, Sequence[Box]] | None = None,
    ) -> PoseResult:
        """Find the objects of all categories.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, undistorted.
            camera: intrinsics; None if unknown: rotations and image positions hold, distances do not.
            boxes: (x, y, width, height) of objects somebody else has found, ``(N, 4)``, (0, 0) the image's
                upper left corner; None to search.
            masks: of the same objects, ``(N, H, W)`` bool; their boxes are taken.
            depth: aligned with the image, metres, ``(H, W)``; zero or NaN where unknown.
            expected: about where objects of each category are, for somebody followed them there: only
                there they are looked for. None to search the whole image; not used with boxes or masks.

        Raises:
            SurfposeError: the image is not 8-bit RGB, or a box lies outside it.
        """
        check_image(image)
        clock = _Clock()
        if masks is not None:
            boxes = np.array([_mask_box(mask) for mask in masks])
        whole = camera or assumed_camera(image)
        detections: list[Detection] = []
        best = 0.0
        pixels = torch.from_numpy(np.require(image, requirements=["C", "W"]))
        uploaded = {device: pixels.to(device) for device in self._devices}
        clock.lap("upload")
        for search in self.searches:
            fast, there = self._on_gpu.get(search), uploaded[search.model.device]
            wanted = self._places(image, there, search, boxes, expected)
            clock.lap("localise")
            # Who follows an object has many images to be sure by: one look at each is enough.
            mirror = self.settings.mirror and (boxes is not None or expected is None)
            if fast:
                told = fast(there, wanted, boxes is not None, camera, mirror)
            else:
                views = look_at(image, wanted, boxes is not None, whole, search.model, mirror)
                clock.lap("network")
                told = [self._poses(view, search, camera) for view in views]
            found = [self._detection(*one, search, camera, depth) for one in told]
            clock.lap("pose")
            best = max([best, *(detection.score for detection in found)])
            # A given box holds an object, says whoever gave it: it is never dropped.
            least = self.settings.threshold if boxes is None else 0.0
            detections += _suppress([d for d in found if d.score >= least], boxes is not None)
        detections.sort(key=lambda detection: -detection.score)
        reason = "" if detections else self._why_empty(boxes, best)
        return PoseResult(tuple(detections), best, reason, clock.seconds)

    def _places(
        self,
        image: np.ndarray,
        uploaded: Tensor,
        search: CropSearch,
        boxes: np.ndarray | None,
        expected: Mapping[str, Sequence[Box]] | None,
    ) -> list[Box]:
        """Where to look for objects of a category."""
        if boxes is not None:
            return [check_box(box, image) for box in boxes]
        if expected is not None:
            return list(expected.get(search.model.name, ()))[: self.settings.max_objects]
        most, fast = self.settings.max_objects, self._on_gpu.get(search)
        found = fast.propose(uploaded, most) if fast else propose(image, search.model, most)
        return [proposal.box for proposal in found]

    def _why_empty(self, boxes: np.ndarray | None, best: float) -> str:
        if boxes is not None:
            return "no boxes were given"
        return f"nothing above the threshold {self.settings.threshold:.2f}; the best score was {best:.2f}"

    def _poses(
        self, view: CropView, search: CropSearch, camera: Camera | None
    ) -> tuple[CropPoses, Box, float]:
        cells = view.features.shape[-1]
        crop = view.camera.cropped(0, 0, cells, cells, 1 / STRIDE)
        intrinsics = torch.from_numpy(crop.matrix) if camera is not None else None
        with torch.inference_mode():
            poses = search(view.features, intrinsics, view.outline, view.mirrored)
        return poses, view.box, view.chance

    def _detection(
        self,
        poses: CropPoses,
        box: Box,
        chance: float,
        search: CropSearch,
        camera: Camera | None,
        depth: np.ndarray | None,
    ) -> Detection:
        detection = to_detection(poses, search, box, chance, camera is not None)
        if depth is not None and camera is not None:
            detection = scale_from_depth(detection, search.caster, camera, depth)
        return detection


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
    weights = poses.log_odds.softmax(dim=0).tolist()
    matrices = np.zeros((len(weights), 4, 4))
    matrices[:, :3, :3] = poses.hypotheses.rotation.cpu().numpy()
    matrices[:, :3, 3] = poses.hypotheses.translation.double().cpu().numpy() * unit
    matrices[:, 3, 3] = 1
    covariances = _covariances(poses.information, unit)
    hypotheses = map(PoseHypothesis, matrices, weights, covariances)
    evidence = {"gain": poses.gain, "chance": log_odds(chance)}
    score = detection_score(evidence, model.info.calibration)
    extent = model.template.extent * np.exp(poses.hypotheses.stretch[0].cpu().numpy())
    size = extent / np.linalg.norm(extent) * unit
    return Detection(model.name, score, box, tuple(hypotheses), size, metric, evidence)


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


def _covariances(information: Tensor, unit: float) -> np.ndarray:
    """Of (x, y, z, rx, ry, rz), ``(K, 6, 6)``, from the information on (rotation, translation)."""
    matrices = information.double().cpu().numpy()[:, POSITION_FIRST][:, :, POSITION_FIRST]
    scale = np.array([unit] * 3 + [1.0] * 3)
    return np.linalg.inv(matrices + LEAST_INFORMATION) * np.outer(scale, scale)


def _suppress(detections: list[Detection], given: bool) -> list[Detection]:
    """Drop detections of what a better one has found already; boxes that were given all stay."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if given or all(overlap(detection.box, other.box) < OVERLAP for other in kept):
            kept.append(detection)
    return kept


def assumed_camera(image: np.ndarray) -> Camera:
    """Stands in for an unknown one, to tell where crops lie."""
    height, width = image.shape[:2]
    return Camera(np.array([[width, 0, 0], [0, width, 0], [0, 0, 1]]), width, height)


class _Clock:
    """Time of each named stage, summed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
