"""Feature maps finer than the search's settings are made for, brought to that size.

Sigmas, reaches and the number of cells that are worth one another are in cells of a map of some
`SUITED` a side, as an input of 224 pixels gives. Finer maps hold few more facts: a patch of DINOv2 at 448
pixels covers four of their cells.
"""

from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

SUITED = 28  # cells a side


def suited(
    features: Tensor, mirrored: Tensor | None, intrinsics: Tensor | None, boxes: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The same things of maps of about `SUITED` cells a side; what is None stays so.

    Args:
        features: unit, ``(B, D, h, w)``.
        mirrored: of the mirrored pictures.
        intrinsics: in cells, ``(..., 3, 3)``.
        boxes: (low x, low y, high x, high y) in cells, cell centres at whole numbers, ``(..., 4)``.
    """
    factor = round(features.shape[-1] / SUITED)
    if factor <= 1:
        return features, mirrored, intrinsics, boxes
    return (
        _pooled(features, factor),
        None if mirrored is None else _pooled(mirrored, factor),
        None if intrinsics is None else _coarser_camera(intrinsics, factor),
        None if boxes is None else _coarser(boxes, factor),
    )


def _pooled(features: Tensor, factor: int) -> Tensor:
    """Means of squares of cells, of unit length again."""
    return normalize(avg_pool2d(features, factor), dim=1)


def _coarser(places: Tensor, factor: int) -> Tensor:
    """Coordinates in cells, counted in cells that are larger by a factor."""
    return (places + 0.5) / factor - 0.5


def _coarser_camera(intrinsics: Tensor, factor: int) -> Tensor:
    coarser = intrinsics.clone()
    coarser[..., :2, :2] /= factor
    coarser[..., :2, 2] = _coarser(intrinsics[..., :2, 2], factor)
    return coarser
