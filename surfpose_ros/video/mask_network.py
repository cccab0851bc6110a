"""Object masks by a segmentation network from an ONNX file, run by OpenCV: U2-Net's or ISNet's kind.

Salient-object networks (U2-Net: Qin et al., Pattern Recognition 2020; ISNet: Qin et al., ECCV 2022) take a
square picture and give one map of how much each pixel belongs to the object.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.masks import clean_mask

SUFFIX = ".onnx"
ON_OBJECT = 0.5


@dataclass(frozen=True)
class NetworkInput:
    """What a network was trained to see: a square of `size` pixels of ``(rgb - mean) / deviation``.

    `brightest` divides by the picture's own maximum first, else by 255.
    """

    size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    brightest: bool


U2NET = NetworkInput(320, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), brightest=True)
ISNET = NetworkInput(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), brightest=False)


class MaskNetwork:
    """A network that finds masks; ISNet's input where the file's name has `isnet` in it, else U2-Net's."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SurfposeError(f"{path}: no such network; --masks takes the path of an ONNX file")
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise SurfposeError(
                f"{path}: OpenCV cannot load it as ONNX ({error.err}); export it again"
            ) from error
        self._path = path
        self._input = ISNET if "isnet" in path.stem.lower() else U2NET

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The mask ``(H, W)`` bool of an RGB picture ``(H, W, 3)`` uint8.

        Raises:
            SurfposeError: the network does not take such an input, or gives no map.
        """
        height, width = image.shape[:2]
        size = (self._input.size, self._input.size)
        picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        picture /= max(float(picture.max()), 1.0) if self._input.brightest else 255.0
        blob = ((picture - self._input.mean) / self._input.deviation).astype(np.float32)
        try:
            self._network.setInput(np.ascontiguousarray(blob.transpose(2, 0, 1)[None]))
            # The first output is the finest map; the others supervise training.
            found = np.asarray(self._network.forward(self._network.getUnconnectedOutLayersNames()[0]))
        except cv2.error as error:
            raise SurfposeError(
                f"{self._path}: does not run on {size[0]}x{size[1]} pixels ({error.err}); it must be a "
                "U2-Net, or an ISNet with isnet in its file's name"
            ) from error
        if found.ndim != 4 or found.shape[1] != 1:
            raise SurfposeError(
                f"{self._path}: gives {found.shape}, not one map; it must be a U2-Net or ISNet"
            )
        chances = found[0, 0]
        spread = float(chances.max() - chances.min())
        if spread < 1e-6:
            return np.zeros((height, width), bool)
        chances = (chances - chances.min()) / spread
        large = cv2.resize(chances.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return clean_mask(large > ON_OBJECT)
