"""What a GPU does in one go, checked on the CPU against the same done step by step."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from surfpose_ros.category.augment import CROP_MARGIN
from surfpose_ros.category.views import box_crop
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.crop import CropSearch
from surfpose_ros.pose.localise import STRIDE, overlap
from surfpose_ros.pose.looking import box_in_cells, box_in_image, boxes_in_cells
from surfpose_ros.pose.on_gpu import GpuSearch, _crop_cameras, _in_image, _overlap, crop_boxes, shrink
from surfpose_ros.pose.recorded import Recorded

BOXES = [(40.0, 30.0, 100.0, 60.0), (-20.0, 90.5, 70.0, 130.0), (200.0, 100.0, 33.0, 35.0)]
CAMERA = Camera(np.array([[400.0, 0, 155], [0, 390.0, 122], [0, 0, 1]]), 320, 240)


def picture() -> np.ndarray:
    """Smooth, so that what is between its pixels is no matter of taste."""
    x, y = np.meshgrid(np.arange(320) / 320, np.arange(240) / 240)
    waves = [np.sin(9 * x + 2 * y), np.cos(7 * y), np.sin(5 * x) * np.cos(6 * y)]
    return (127 * (np.stack(waves, axis=-1) + 1)).astype(np.uint8)


@pytest.mark.parametrize("samples", [1, 2])
def test_crops_are_those_that_opencv_cuts(samples):
    pixels = torch.from_numpy(picture()).permute(2, 0, 1)[None].float()
    crops = crop_boxes(pixels, torch.tensor(BOXES), 96, samples)
    for crop, box in zip(crops, BOXES, strict=True):
        expected = box_crop(picture(), box, CAMERA, 96, CROP_MARGIN)[0]
        difference = np.abs(crop.permute(1, 2, 0).numpy() - expected)
        assert np.median(difference) < 1.0
        assert np.mean(difference > 6) < 0.02  # at the image's border


@pytest.mark.parametrize(("height", "width"), [(168, 224), (97, 131), (336, 448), (1, 3)])
def test_pictures_are_shrunk_and_enlarged_as_opencv_does_it(height, width):
    pixels = torch.from_numpy(picture()).permute(2, 0, 1)[None].float()
    mode = cv2.INTER_AREA if width < 320 else cv2.INTER_LINEAR
    expected = cv2.resize(picture().astype(np.float32), (width, height), interpolation=mode)
    small = shrink(pixels, height, width)[0].permute(1, 2, 0)
    assert np.allclose(small.numpy(), expected, atol=0.1)


def test_a_crops_camera_is_the_images_cut_and_shrunk():
    cameras = _crop_cameras(torch.from_numpy(CAMERA.matrix).float(), torch.tensor(BOXES), 12)
    for camera, box in zip(cameras, BOXES, strict=True):
        crop = box_crop(picture(), box, CAMERA, 96, CROP_MARGIN)[1]
        expected = crop.cropped(0, 0, 12, 12, 1 / STRIDE).matrix
        assert np.allclose(camera.numpy(), expected, atol=1e-3)


def test_boxes_go_into_their_crops_and_back():
    boxes = torch.tensor(BOXES)
    outlines = boxes_in_cells(boxes, 12)
    assert torch.allclose(outlines, torch.stack([box_in_cells(box, 96) for box in BOXES]), atol=1e-4)
    told = outlines + torch.tensor([0.3, -0.2, 0.5, 1.0])
    for back, cells, box in zip(_in_image(told, boxes, 96), told, BOXES, strict=True):
        crop = box_crop(picture(), box, CAMERA, 96, CROP_MARGIN)[1]
        assert np.allclose(back.numpy(), box_in_image(cells, crop, CAMERA), atol=1e-2)


class Sealed(TorchDispatchMode):
    """Refuses what a GPU cannot record: values taken from it, tensors made of the program's own numbers."""

    WAITS = (
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::masked_select",
        "aten::repeat_interleave.Tensor",
    )

    def __init__(self):
        super().__init__()
        self.numbers = []  # made of the program's own, and kept so that their addresses stay theirs

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        indices = args[1] if name.startswith(("aten::index.", "aten::index_put")) else ()
        masks = [index for index in indices if index is not None and index.dtype == torch.bool]
        made_here = name == "aten::lift_fresh" and args[0].numel() > 1
        copied = name == "aten::copy_" and any(args[1] is number for number in self.numbers)
        if masks or made_here or copied or name.startswith(self.WAITS):
            raise AssertionError(f"{name} cannot be recorded")
        result = function(*args, **(kwargs or {}))
        if name == "aten::lift_fresh":  # a single number is only told to the GPU, unless it is copied
            self.numbers.append(result)
        return result


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("mirror", [True, False])
def test_what_a_gpu_records_takes_nothing_from_outside_and_waits_for_nothing(model, exact, known, mirror):
    symmetric = replace(model, info=replace(model.info, mirror=[0.0, 1.0, 0.0]))
    search = GpuSearch(CropSearch(symmetric))
    inputs = torch.from_numpy(picture()), torch.tensor(BOXES[:2]), torch.from_numpy(CAMERA.matrix).float()
    with torch.inference_mode(), Sealed():
        (told,) = search._poses(*inputs, exact=exact, known=known, mirror=mirror, samples=2)
        (proposed,) = search._told(inputs[0], most=4)
    assert torch.isfinite(told).all()
    assert proposed.shape == (8, 5)


def test_boxes_overlap_as_told_one_by_one():
    first = torch.tensor(BOXES)
    second = first + torch.tensor([5.0, -3.0, 8.0, 2.0])
    expected = [overlap(tuple(a), tuple(b)) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert _overlap(first, second).tolist() == pytest.approx(expected, abs=1e-5)


def test_on_a_cpu_a_recorded_function_is_just_called():
    double = Recorded(lambda x, scale: (x * scale,), torch.device("cpu"))
    assert double(torch.ones(2), scale=3)[0].tolist() == [3, 3]
    assert double(torch.zeros(3), scale=3)[0].tolist() == [0, 0, 0]
