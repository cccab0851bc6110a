"""Training views: every frame cut to its object, with the template vertex that each pixel shows."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from surfpose_ros.category.loss import CLUTTER, IGNORED
from surfpose_ros.category.template import Labeller, Template
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import toward
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.remask import with_surface_masks
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import ObjectVideo

SIZE = 288  # side of a stored view in pixels
MARGIN = 1.6  # side of a stored view over the longer side of the object's box
LABEL_STRIDE = 2  # pixels of a stored view a label
LABELS = SIZE // LABEL_STRIDE  # along each side of a stored view
ALIASING = 0.6  # shrinking below this needs more than a sample a pixel


@dataclass(frozen=True)
class TrainingViews:
    """All views of a category's training videos.

    Attributes:
        images: ``(N, 3, SIZE, SIZE)`` uint8 RGB.
        masks: ``(N, 1, SIZE, SIZE)`` uint8, 255 on the object.
        labels: template vertex, `CLUTTER` or `IGNORED`, ``(N, 1, SIZE/2, SIZE/2)`` int16.
        rotations: camera_from_object as if the object stood straight ahead, canonical frame,
            ``(N, 3, 3)`` float32.
        videos: index of the video, ``(N,)`` int64.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    rotations: Tensor
    videos: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def chances(self) -> Tensor:
        """Of each view to be drawn, up to a factor, ``(N,)``: every video counts the same."""
        return 1 / torch.bincount(self.videos).float()[self.videos]

    @property
    def bytes(self) -> int:
        """That they take in memory."""
        return sum(getattr(self, name).nbytes for name in self.__dataclass_fields__)

    def subset(self, index: Tensor) -> "TrainingViews":
        """The views with the given indices or mask."""
        return TrainingViews(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: torch.device) -> "TrainingViews":
        """The same views on another device."""
        return TrainingViews(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collect_views(
    videos: Iterable[ObjectVideo],
    surfaces: dict[str, Surface],
    canonical_from_video: dict[str, np.ndarray],
    template: Template,
) -> TrainingViews:
    """Cut and label the frames that each surface used; `videos` may be read one by one."""
    rows: list[tuple[Tensor, ...]] = []
    labeller = Labeller(template)
    for index, video in enumerate(videos):
        surface, to_canonical = surfaces[video.name], canonical_from_video[video.name]
        video = with_surface_masks(video, surface)
        fit = labeller.fit(surface.mesh.transformed(to_canonical))
        caster = RayCaster(surface.mesh)
        frames = {frame.name: frame for frame in video.frames}
        for view in surface.views:
            frame = frames[view.frame]
            if frame.mask is None or not frame.mask.any():
                continue
            crop, camera = object_crop(frame.image, frame.mask, view.camera, SIZE, MARGIN)
            mask = object_crop(frame.mask.astype(np.uint8) * 255, frame.mask, view.camera, SIZE, MARGIN)[0]
            small = camera.cropped(0, 0, LABELS, LABELS, 1 / LABEL_STRIDE)
            points, faces = caster.surface_map(view.camera_from_video, small)
            on_mask = cv2.resize(mask, (LABELS, LABELS), interpolation=cv2.INTER_AREA) > 127
            labels = np.where(on_mask, IGNORED, CLUTTER).astype(np.int16)
            shown = on_mask & (faces >= 0)
            labels[shown] = labeller(fit(points[shown] @ to_canonical[:3, :3].T + to_canonical[:3, 3]))
            camera_from_canonical = view.camera_from_video @ np.linalg.inv(to_canonical)
            rows.append(
                (
                    torch.from_numpy(crop).permute(2, 0, 1),
                    torch.from_numpy(mask)[None],
                    torch.from_numpy(labels)[None],
                    _straight_ahead(camera_from_canonical),
                    torch.tensor(index),
                )
            )
    return TrainingViews(*(torch.stack(column) for column in zip(*rows, strict=True)))


def object_crop(
    image: np.ndarray, mask: np.ndarray, camera: Camera, size: int, margin: float
) -> tuple[np.ndarray, Camera]:
    """A square picture of the masked object, black beyond the image, and its camera."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
    return box_crop(image, box, camera, size, margin)


def box_crop(
    image: np.ndarray, box: tuple[float, float, float, float], camera: Camera, size: int, margin: float
) -> tuple[np.ndarray, Camera]:
    """A square picture around a box (x, y, width, height), ``(size, size, ...)``, and its camera.

    The square's side is `margin` times the box's longer side; what lies beyond the image is black. A box's
    (0, 0) is the image's upper left corner, so a box of whole numbers begins with the pixel of that index.
    """
    x, y, width, height = box
    side = margin * max(width, height)
    scale = size / side
    left, top = x + width / 2 - side / 2, y + height / 2 - side / 2
    first = np.zeros(2)
    if scale < ALIASING:
        # Nothing beyond three standard deviations of the blur reaches the crop.
        reach = 3 * 0.4 / scale + 3
        columns = _span(left - reach, left + side + reach, image.shape[1])
        rows = _span(top - reach, top + side + reach, image.shape[0])
        image = cv2.GaussianBlur(image[rows, columns], (0, 0), 0.4 / scale)
        first = np.array([columns.start, rows.start])
    # Pixel u of the crop shows left + (u + 0.5) / scale - 0.5 of the image (see Camera.cropped).
    shift = np.array([left, top]) - first + 0.5 / scale - 0.5
    inverse = np.array([[1 / scale, 0, shift[0]], [0, 1 / scale, shift[1]]])
    crop = cv2.warpAffine(
        image,
        inverse,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return crop, camera.cropped(left, top, size, size, scale)


def _span(low: float, high: float, size: int) -> slice:
    """The pixels from `low` to `high` that an axis of `size` has; at least one."""
    start = int(np.clip(np.floor(low), 0, size - 1))
    return slice(start, int(np.clip(np.ceil(high), start + 1, size)))


def _straight_ahead(camera_from_canonical: np.ndarray) -> Tensor:
    """The rotation ``(3, 3)`` of a similarity, less the turn towards the canonical origin."""
    rotation, origin, _ = decompose_similarity(torch.from_numpy(camera_from_canonical))
    return (toward(origin).T @ rotation).float()
