"""What a camera's sensor adds to a picture: noise."""

import numpy as np


class SensorNoise:
    """Adds noise to 8-bit pictures of one size; equal seeds and equal calls give equal noise."""

    def __init__(self, sigma: float, width: int, height: int, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 13])
        self._margin = 64
        shape = (height + self._margin, width + self._margin, 3)
        # Drawn once, larger than the picture; each picture gets another cut-out of it, which is far
        # quicker than new numbers.
        self._noise = np.round(self._rng.normal(0, sigma, shape)).astype(np.int16)

    def add(self, picture: np.ndarray) -> np.ndarray:
        """The picture ``(H, W, 3)`` uint8 with noise."""
        y, x = self._rng.integers(0, self._margin, 2)
        noise = self._noise[y : y + picture.shape[0], x : x + picture.shape[1]]
        return np.clip(picture + noise, 0, 255).astype(np.uint8)


def in_millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres as depth cameras give it: uint16."""
    return np.clip(1000 * depth + 0.5, 0, 65535).astype(np.uint16)
