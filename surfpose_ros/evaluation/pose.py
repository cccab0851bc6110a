"""How well a category model tells poses in images it has never seen.

The model speaks of its canonical frame and the labels of theirs. The one rotation between them is told by
the training videos' labels (label_frames.py) and never by the test images.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.boxes import box_overlap_2d, box_overlap_3d
from surfpose_ros.evaluation.metrics import (
    Array,
    average_distance,
    average_nearest_distance,
    heading_error,
    rotation_error,
)
from surfpose_ros.evaluation.samples import PoseSample
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.pose.detection import Detection, PoseResult
from surfpose_ros.progress import Progress, silent, track

Estimator = Callable[..., PoseResult]  # of an image, its camera, boxes, and depth by name
BoxSource = Literal["auto", "labels", "image", "search"]

NAN = float("nan")
# A found box that overlaps the labelled one less shows something else (PASCAL VOC).
MATCH_OVERLAP = 0.5


@dataclass(frozen=True)
class LabelFrame:
    """The labels' object frame in the model's canonical frame.

    Attributes:
        rotation: ``canonical_from_label``, ``(3, 3)``.
        origin: of the labels' frame in the canonical frame, metres, ``(3,)``.
        symmetry: turns of the object that are forgiven, in the labels' frame.
        points: on the object in the canonical frame, of unit diagonal, ``(P, 3)``, for ADD; may be none.
    """

    rotation: Array = field(default_factory=lambda: np.eye(3))
    origin: Array = field(default_factory=lambda: np.zeros(3))
    symmetry: Symmetry = field(default_factory=Symmetry)
    points: Array = field(default_factory=lambda: np.zeros((0, 3)))

    def camera_from_label(self, camera_from_canonical: Array) -> Array:
        """A pose of the model as the labels would say it, ``(4, 4)``."""
        pose = camera_from_canonical.copy()
        pose[:3, :3] = camera_from_canonical[:3, :3] @ self.rotation
        pose[:3, 3] += camera_from_canonical[:3, :3] @ self.origin
        return pose

    def camera_from_canonical(self, camera_from_label: Array) -> Array:
        """A labelled pose as the model would say it, ``(4, 4)``."""
        pose = camera_from_label.copy()
        pose[:3, :3] = camera_from_label[:3, :3] @ self.rotation.T
        pose[:3, 3] -= pose[:3, :3] @ self.origin
        return pose


@dataclass(frozen=True)
class Outcome:
    """What the model said of one sample; NaN where it said nothing.

    Attributes:
        sample: with the truth.
        detection: the one that was compared; None if the object was not found.
        pose: ``camera_from_label`` as estimated, ``(4, 4)``.
        error_deg: rotation error.
        symmetric_deg: the smallest over the symmetry.
        heading_deg: signed turn about the labels' up axis that is left.
        rival_deg: smallest rotation error among all hypotheses.
        translation_m: distance of the origins; NaN too where no translation is known.
        overlap: of the boxes in the image; NaN where no box is labelled.
        overlap_3d: of the boxes in space; NaN where no size is labelled.
        add: mean distance of the object's points from where they should be, in its diagonals (ADD).
        adds: the same from the nearest point of the object (ADD-S).
        seconds: that the estimator took.
        found: everything that the model found in the image, where it searched; else empty.
    """

    sample: PoseSample
    detection: Detection | None
    pose: Array
    error_deg: float = NAN
    symmetric_deg: float = NAN
    heading_deg: float = NAN
    rival_deg: float = NAN
    translation_m: float = NAN
    overlap: float = NAN
    overlap_3d: float = NAN
    add: float = NAN
    adds: float = NAN
    seconds: float = 0.0
    found: tuple[Detection, ...] = ()

    @property
    def score(self) -> float:
        """Of the detection; 0 if there is none."""
        return self.detection.score if self.detection else 0.0


def box_source(samples: Sequence[PoseSample]) -> BoxSource:
    """Where boxes come from if nobody says: the labels; else the model finds them, given intrinsics.

    Without boxes and intrinsics the images are crops of their objects, and the whole image is the box.
    """
    if all(sample.box is not None for sample in samples):
        return "labels"
    return "search" if all(sample.matrix is not None for sample in samples) else "image"


def evaluate_poses(
    estimator: Estimator,
    samples: Sequence[PoseSample],
    frame: LabelFrame,
    boxes: BoxSource = "auto",
    progress: Progress = silent,
    depth: bool = False,
) -> list[Outcome]:
    """Run the estimator on every sample and compare.

    Args:
        estimator: called with an image, its camera and boxes, as `PoseEstimator` is.
        samples: the test set.
        frame: of the labels.
        boxes: which boxes the estimator is given: the labels', the whole image, or none (search).
        progress: told of each image.
        depth: give the estimator the depth pictures too.

    Raises:
        SurfposeError: no samples, an unreadable image, or boxes, depth or intrinsics wanted that the labels
            do not have.
    """
    if not samples:
        raise SurfposeError("no image to evaluate: is the category in the labels the model's?")
    chosen = box_source(samples) if boxes == "auto" else boxes
    unboxed = [sample.name for sample in samples if sample.box is None]
    if chosen == "labels" and unboxed:
        raise SurfposeError(f"{unboxed[0]} has no box (x,y,w,h) in the labels; use --boxes image or search")
    if depth and any(sample.matrix is None for sample in samples):
        raise SurfposeError("depth says nothing without intrinsics (fx,fy,cx,cy) in the labels")
    stage = track(samples, progress, "evaluate", len(samples))
    return [_evaluate(estimator, sample, frame, chosen, depth) for sample in stage]


def constant_guess(rotations: Array, threshold_deg: float = 30.0) -> Array:
    """Errors ``(N,)`` of the single rotation that is right for most of the labels ``(N, 3, 3)``.

    It is chosen among the labels themselves, by the labels themselves: what a method gets that knows
    how photographers stand and looks at no image.
    """
    best = np.full(len(rotations), np.inf)
    for rotation in rotations[:: max(1, len(rotations) // 1000)]:
        errors = rotation_error(rotations, rotation)
        if (errors < threshold_deg).sum() > (best < threshold_deg).sum():
            best = errors
    return best


def _evaluate(
    estimator: Estimator, sample: PoseSample, frame: LabelFrame, boxes: BoxSource, depth: bool
) -> Outcome:
    image, camera = sample.read()
    given = None
    if boxes == "image":
        given = np.array([[0.0, 0.0, image.shape[1], image.shape[0]]])
    elif boxes == "labels":
        given = np.array([sample.box], dtype=np.float64)
    more = {"depth": sample.read_depth()} if depth else {}
    start = time.perf_counter()
    result = estimator(image, camera, given, **more)
    seconds = time.perf_counter() - start
    detection = _choose(result.detections, sample, searched=given is None)
    found = result.detections if given is None else ()
    return replace(compare(sample, detection, frame, seconds), found=found)


def _choose(detections: Sequence[Detection], sample: PoseSample, searched: bool) -> Detection | None:
    """The surest detection; when the model searched and a box is labelled, the surest that overlaps it."""
    if searched and sample.box is not None and detections:
        overlaps = box_overlap_2d([d.box for d in detections], [sample.box])[:, 0]
        detections = [d for d, o in zip(detections, overlaps, strict=True) if o >= MATCH_OVERLAP]
    return max(detections, key=lambda detection: detection.score, default=None)


def compare(
    sample: PoseSample, detection: Detection | None, frame: LabelFrame, seconds: float = 0.0
) -> Outcome:
    """The errors of one detection."""
    if detection is None:
        return Outcome(sample, None, np.full((4, 4), NAN), seconds=seconds)
    poses = [frame.camera_from_label(h.camera_from_object) for h in detection.hypotheses]
    pose = poses[0]
    true = sample.camera_from_object
    errors = rotation_error(np.stack([p[:3, :3] for p in poses]), sample.rotation)
    translation = overlap_3d = overlap = add = adds = NAN
    if true is not None and detection.metric:
        translation = float(np.linalg.norm(pose[:3, 3] - true[:3, 3]))
        found = detection.hypotheses[0].camera_from_object
        diagonal = float(np.linalg.norm(detection.size if sample.size is None else sample.size))
        if len(frame.points):
            points, canonical = frame.points * diagonal, frame.camera_from_canonical(true)
            add = float(average_distance(found, canonical, points)) / diagonal
            adds = average_nearest_distance(found, canonical, points) / diagonal
        if sample.size is not None:
            overlap_3d = box_overlap_3d(found, detection.size, true, sample.size)
    if sample.box is not None:
        overlap = float(box_overlap_2d([detection.box], [sample.box])[0, 0])
    return Outcome(
        sample=sample,
        detection=detection,
        pose=pose,
        error_deg=float(errors[0]),
        symmetric_deg=float(rotation_error(pose[:3, :3], sample.rotation, frame.symmetry)),
        heading_deg=float(heading_error(pose[:3, :3], sample.rotation)),
        rival_deg=float(errors.min()),
        translation_m=translation,
        overlap=overlap,
        overlap_3d=overlap_3d,
        add=add,
        adds=adds,
        seconds=seconds,
    )
