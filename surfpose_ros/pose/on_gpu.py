"""From an image on the GPU to poses there, all boxes of a category together and in one go.

It does what `look_at` and `CropSearch` do box by box; only crops are sampled a little otherwise.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from surfpose_ros.category.augment import CROP_MARGIN
from surfpose_ros.category.network import CategoryNetwork, NetworkOutput
from surfpose_ros.category.views import ALIASING
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.crop import CropPoses, CropSearch, Found
from surfpose_ros.pose.localise import (
    SCALES,
    STRIDE,
    Proposal,
    chosen,
    in_pixels,
    likeliest,
    middles,
    shrunk_size,
)
from surfpose_ros.pose.looking import SETTLED, Box, boxes_in_cells
from surfpose_ros.pose.placing import crop_camera
from surfpose_ros.pose.recorded import Recorded
from surfpose_ros.pose.refine import Hypotheses, Refined

WIDTHS = (9, 3, 3, 1, 1, 36, 1, 1, 1, 4, 1)  # of what is `_packed`, in its order; last `Found.apart`


def _run(network: CategoryNetwork, pictures: Tensor) -> NetworkOutput:
    """A network's output in float32, whatever its own precision."""
    dtype = next(network.parameters()).dtype
    output = network(pictures.to(dtype, memory_format=torch.channels_last))
    return NetworkOutput(*(part.float() for part in output))


class GpuSearch:
    """Proposes and looks at boxes with one category model; its network runs in half precision.

    Attributes:
        search: on the GPU.
    """

    def __init__(self, search: CropSearch, compiled: bool = False) -> None:
        """`compiled`: network and search; see `CropSearch.compile`."""
        self.search = search
        model = search.model
        self._network = deepcopy(model.network)
        self._network.memory = None  # whose answer the program would have to wait for
        if model.device.type == "cuda":
            self._network.half()
        if compiled:
            self._network.compile(dynamic=False)
            search.compile()
            for name in ("_crops", "_placed", "_packed"):
                setattr(self, name, torch.compile(getattr(self, name), dynamic=False))
        self._posing = Recorded(self._poses, model.device)
        self._proposing = Recorded(self._told, model.device)

    def propose(self, image: Tensor, most: int, least: float = 0.1) -> list[Proposal]:
        """As `localise.propose`; only the image is shrunk in other arithmetic, and is on the GPU."""
        with torch.inference_mode():
            (told,) = self._proposing(image, most=most)
            return chosen(told.cpu(), (image.shape[0], image.shape[1]), most, least)

    def __call__(
        self, image: Tensor, boxes: Sequence[Box], exact: bool, camera: Camera | None, mirror: bool
    ) -> list[tuple[CropPoses, Box, float]]:
        """Poses, box and chance of the object in each box.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, on the GPU.
            boxes: of the objects.
            exact: False lets the network correct the boxes, as `look_at` does.
            camera: of the image; None if unknown.
            mirror: look at mirrored crops too, where the category has a mirror plane.
        """
        if not boxes:
            return []
        count = 1 << (len(boxes) - 1).bit_length()  # few recordings serve any number of boxes
        padded = torch.tensor([*boxes, *[boxes[-1]] * (count - len(boxes))], dtype=torch.float32)
        matrix = np.eye(3) if camera is None else camera.matrix
        longest = float(padded[:, 2:].max()) * CROP_MARGIN
        scale = self.search.model.info.input_size / longest
        samples = 1 if scale >= ALIASING else min(8, 1 << round(math.log2(1 / scale)))
        with torch.inference_mode():
            (told,) = self._posing(
                image,
                padded,
                torch.from_numpy(matrix).float(),
                exact=exact,
                known=camera is not None,
                mirror=mirror and self.search.partner is not None,
                samples=samples,
            )
            each = self.search.settings.starts
            found, told_boxes, chances = _unpacked(told.cpu()[: len(boxes) * each], each)
        found_boxes = (
            list(boxes) if exact else [(x, y, width, height) for x, y, width, height in told_boxes]
        )
        return list(zip(self.search.distinct(found), found_boxes, chances, strict=True))

    def _told(self, image: Tensor, *, most: int) -> tuple[Tensor]:
        """Boxes with their chances at all scales, see `in_pixels`; the image as of `_poses`."""
        size = image.shape[0], image.shape[1]
        multiple = self._network.backbone.size_multiple
        pixels = image.permute(2, 0, 1)[None].float() / 255
        told = []
        for longer in SCALES:
            height, width, scale = shrunk_size(size, longer)
            small = shrink(pixels, height, width)
            padded = pad(small, (0, -width % multiple, 0, -height % multiple))
            output = _run(self._network, padded)
            told.append(in_pixels(*likeliest(output, most), scale))
        return (torch.cat(told),)

    def _poses(
        self,
        image: Tensor,
        boxes: Tensor,
        matrix: Tensor,
        *,
        exact: bool,
        known: bool,
        mirror: bool,
        samples: int,
    ) -> tuple[Tensor]:
        """All hypotheses with their boxes and chances, as `_packed`.

        Args:
            image: ``(H, W, 3)`` uint8.
            boxes: x, y, width and height, ``(B, 4)``.
            matrix: the image's intrinsics, ``(3, 3)``.
            exact: as of the call.
            known: whether `matrix` means anything.
            mirror: as of the call.
            samples: along each side of a crop's pixel.
        """
        if not exact:
            told, _ = middles(self._look(image, boxes, samples))
            told = _in_image(told, boxes, self.search.model.info.input_size)
            settled = _overlap(told, boxes) >= SETTLED
            boxes = torch.where(settled[:, None], boxes, told)
        output = self._look(image, boxes, samples, mirror)
        own = NetworkOutput(*(part[: len(boxes)] for part in output))
        mirrored = output.features[len(boxes) :] if mirror else None
        outlines, chances, cameras = self._placed(own, boxes, matrix, exact, known)
        found = self.search.together(own.features, cameras, known, outlines, mirrored)
        return (self._packed(found, outlines, boxes, chances),)

    def _look(self, image: Tensor, boxes: Tensor, samples: int, mirror: bool = False) -> NetworkOutput:
        """The network's output of the crops about boxes, and of the mirrored crops after them."""
        return _run(self._network, self._crops(image, boxes, samples, mirror))

    def _crops(self, image: Tensor, boxes: Tensor, samples: int, mirror: bool) -> Tensor:
        pixels = image.permute(2, 0, 1)[None].float() / 255
        crops = crop_boxes(pixels, boxes, self.search.model.info.input_size, samples)
        return torch.cat([crops, crops.flip(-1)]) if mirror else crops

    def _placed(
        self, output: NetworkOutput, boxes: Tensor, matrix: Tensor, exact: bool, known: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In the cells of crops about boxes: the objects' outlines, with their chances, and the cameras."""
        outlines, chances = middles(output)
        cells = output.features.shape[-1]
        if exact:
            outlines = boxes_in_cells(boxes, cells)
        if known:
            return outlines, chances, _crop_cameras(matrix, boxes, cells)
        return outlines, chances, crop_camera(None, output.features[0]).expand(len(boxes), 3, 3)

    def _packed(self, found: Found, outlines: Tensor, boxes: Tensor, chances: Tensor) -> Tensor:
        """All that a search found in one tensor, a hypothesis a row, so that one copy brings it back."""
        refined = found.refined
        parts = [getattr(refined.hypotheses, field.name) for field in fields(refined.hypotheses)]
        parts += [refined.likelihood, refined.information, refined.coverage, found.log_odds, found.gain]
        places = _in_image(outlines, boxes, self.search.model.info.input_size)
        each = self.search.settings.starts
        parts += [part.repeat_interleave(each, dim=0) for part in (places, chances)] + [found.apart]
        return torch.cat([part.reshape(len(part), -1) for part in parts], dim=1)


def _unpacked(told: Tensor, each: int) -> tuple[Found, list[list[float]], list[float]]:
    """What was `_packed`, `each` rows an object: hypotheses, and the objects' boxes and chances."""
    widths = [*WIDTHS, each]
    rotation, translation, stretch, *others, box, chance, apart = told.split(widths, dim=1)
    log_focal, likelihood, information, coverage, log_odds, gain = (part.squeeze(1) for part in others)
    hypotheses = Hypotheses(rotation.unflatten(1, (3, 3)), translation, stretch, log_focal)
    refined = Refined(hypotheses, likelihood, information.unflatten(1, (6, 6)), coverage)
    return Found(refined, log_odds, gain, apart > 0), box[::each].tolist(), chance[::each, 0].tolist()


def shrink(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pictures ``(B, 3, H, W)`` in another size, as OpenCV's INTER_AREA does it, but for its rounding."""
    rows = _shares(pixels.shape[2], height, pixels.device)
    columns = _shares(pixels.shape[3], width, pixels.device)
    return rows @ pixels @ columns.T


def _shares(there: int, here: int, device: torch.device) -> Tensor:
    """What each of `there` old pixels along an axis gives to each of `here` new ones, ``(here, there)``: as
    much as lies inside; where the picture grows, as linear interpolation has it.
    """
    scale = there / here
    old, new = torch.arange(there, device=device), torch.arange(here, device=device)[:, None]
    if scale >= 1:
        inside = torch.minimum(old + 1, (new + 1) * scale) - torch.maximum(old, new * scale)
        return inside.clamp_min(0) / scale
    middle = ((new + 0.5) * scale - 0.5).clamp(0, there - 1)
    return (1 - (old - middle).abs()).clamp_min(0)


def crop_boxes(pixels: Tensor, boxes: Tensor, size: int, samples: int) -> Tensor:
    """Square pictures around boxes, as `box_crop` cuts them, ``(B, 3, size, size)``.

    Args:
        pixels: of the image, ``(1, 3, H, W)``.
        boxes: x, y, width and height, ``(B, 4)``.
        size: of the pictures.
        samples: along each side of a picture's pixel.
    """
    side, corner = _squares(boxes)
    steps = (torch.arange(size * samples, device=boxes.device) + 0.5) / (size * samples)
    places = corner[:, None] + steps[:, None] * side[:, None, None]  # (B, S, 2), x and y
    height, width = pixels.shape[-2:]
    x, y = 2 * places[..., 0] / width - 1, 2 * places[..., 1] / height - 1
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1)
    crops = grid_sample(pixels.expand(len(boxes), -1, -1, -1), grid, align_corners=False)
    return avg_pool2d(crops, samples) if samples > 1 else crops


def _squares(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Sides ``(B,)`` and upper left corners ``(B, 2)`` of the squares that are cut about boxes."""
    side = CROP_MARGIN * boxes[:, 2:].amax(dim=1)
    return side, boxes[:, :2] + boxes[:, 2:] / 2 - side[:, None] / 2


def _crop_cameras(matrix: Tensor, boxes: Tensor, cells: int) -> Tensor:
    """Intrinsics of the crops about boxes in cells, ``(B, 3, 3)``."""
    side, corner = _squares(boxes)
    scale = cells / side[:, None]  # cells an image pixel
    focal = matrix.diagonal()[:2] * scale
    centre = (matrix[:2, 2] - corner + 0.5) * scale - 0.5
    cameras = torch.diag_embed(torch.cat([focal, torch.ones_like(scale)], dim=1))
    cameras[:, :2, 2] = centre
    return cameras


def _in_image(outlines: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Outlines in cells of the crops about boxes as x, y, width and height in the image, ``(B, 4)``."""
    side, corner = _squares(boxes)
    pixels = (outlines + 0.5) * STRIDE * (side / size)[:, None]
    low, high = pixels[:, :2] + corner, pixels[:, 2:] + corner
    return torch.cat([low, high - low], dim=1)


def _overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes ``(B, 4)``, pair by pair."""
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    both = (high - low).clamp_min(0).prod(dim=1)
    return both / (first[:, 2:].prod(dim=1) + second[:, 2:].prod(dim=1) - both)
