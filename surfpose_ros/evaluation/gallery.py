"""The best and the worst answers as pictures: the estimate drawn on the image, and the truth beside it."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from surfpose_ros.evaluation.pose import Outcome
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.pose.drawing import box_corners, camera_on_box, draw_axes, draw_detection, draw_text

TILE = 220


def by_error(outcomes: Sequence[Outcome], count: int, worst: bool) -> list[Outcome]:
    """The `count` outcomes of largest or smallest error; none found is the worst of all."""
    errors = np.nan_to_num([outcome.symmetric_deg for outcome in outcomes], nan=np.inf)
    order = np.argsort(-errors if worst else errors, kind="stable")
    return [outcomes[index] for index in order[:count]]


def tiles(
    outcomes: Sequence[Outcome], templates: Mapping[str, Mesh] | None = None
) -> list[tuple[str, np.ndarray]]:
    """A caption and a picture for each outcome: the estimate on the left, the truth on the right."""
    return [(caption(outcome), tile(outcome, templates or {})) for outcome in outcomes]


def caption(outcome: Outcome) -> str:
    """Name, error with the symmetry forgiven, and score."""
    if outcome.detection is None:
        return f"{outcome.sample.name}: nothing found"
    return f"{outcome.sample.name}: {outcome.symmetric_deg:.0f} deg, score {outcome.score:.2f}"


def tile(outcome: Outcome, templates: Mapping[str, Mesh]) -> np.ndarray:
    """``(TILE, 2 * TILE, 3)`` uint8 RGB: the estimate, and the truth's axes."""
    image, camera = outcome.sample.read()
    box = outcome.sample.box or (0, 0, image.shape[1], image.shape[0])
    found, true = image.copy(), image.copy()
    size = np.full(3, 1 / np.sqrt(3))
    if outcome.detection is not None:
        draw_detection(found, outcome.detection, camera, templates.get(outcome.detection.category))
        box = outcome.sample.box or outcome.detection.box
        size = outcome.detection.size
    _draw_truth(true, outcome, camera, box, size)
    window = _window(box, image.shape)
    pair = [_cut(picture, window) for picture in (found, true)]
    said = "nothing" if outcome.detection is None else f"{outcome.symmetric_deg:.0f} deg off"
    for picture, text in zip(pair, (said, "truth"), strict=True):
        draw_text(picture, text, (5, TILE - 7), (255, 255, 255))
    return np.hstack(pair)


def contact_sheet(pictures: Sequence[np.ndarray], columns: int = 3) -> np.ndarray:
    """Pictures of one size in rows, ``(H, W, 3)`` uint8; empty places are black."""
    if not pictures:
        return np.zeros((TILE, TILE, 3), np.uint8)
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    return np.vstack([np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)])


def _draw_truth(
    image: np.ndarray, outcome: Outcome, camera: Camera | None, box: tuple[float, ...], size: np.ndarray
) -> None:
    pose = outcome.sample.camera_from_object
    if camera is None or pose is None:
        camera, pose = camera_on_box(outcome.sample.rotation, box_corners(size), box, image.shape)
    draw_axes(image, camera, pose, 0.5 * float(np.linalg.norm(size)))


def _window(box: tuple[float, ...], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A square about the box with a margin, as left, top, right, bottom; it may leave the image."""
    side = round(min(1.3 * max(box[2], box[3]), max(shape[:2])))
    left = round(box[0] + box[2] / 2 - side / 2)
    top = round(box[1] + box[3] / 2 - side / 2)
    return left, top, left + side, top + side


def _cut(image: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = window
    height, width = image.shape[:2]
    above, below = max(-top, 0), max(bottom - height, 0)
    before, behind = max(-left, 0), max(right - width, 0)
    padded = np.pad(image, ((above, below), (before, behind), (0, 0)))
    cut = padded[max(top, 0) : max(top, 0) + bottom - top, max(left, 0) : max(left, 0) + right - left]
    return cv2.resize(cut, (TILE, TILE), interpolation=cv2.INTER_AREA)
