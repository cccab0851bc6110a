"""What cannot be aligned is refused by name before any work begins."""

from collections.abc import Sequence

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.surface.surface import Surface

MIN_VERTICES = 12  # fewer are no shape


def check_surfaces(surfaces: Sequence[Surface]) -> None:
    """Refuse what cannot be aligned.

    Raises:
        SurfposeError: says which surface, why, and what to do.
    """
    if len(surfaces) < 2:
        raise SurfposeError(
            f"{len(surfaces)} surface(s) to align; it takes two videos of different objects at least"
        )
    names = [surface.name for surface in surfaces]
    for name in names:
        if names.count(name) > 1:
            raise SurfposeError(f"two surfaces are called {name}; give each video its own name")
    for surface in surfaces:
        _check_surface(surface, surfaces[0])


def _check_surface(surface: Surface, first: Surface) -> None:
    again = "reconstruct it again"
    width = surface.features.shape[-1]
    if surface.backbone != first.backbone or width != first.features.shape[-1]:
        raise SurfposeError(
            f"{surface.name}: {width} features of {surface.backbone}, and of "
            f"{first.name}: {first.features.shape[-1]} of {first.backbone}; use one backbone for all"
        )
    vertices = surface.mesh.vertices
    if len(vertices) < MIN_VERTICES or not len(surface.mesh.faces):
        raise SurfposeError(f"{surface.name}: {len(vertices)} vertices are no shape; {again}")
    if not np.isfinite(vertices).all() or np.linalg.matrix_rank(vertices - vertices.mean(axis=0)) < 3:
        raise SurfposeError(f"{surface.name}: vertices that are not finite, or lie in one plane; {again}")
    if not np.isfinite(surface.features[surface.feature_valid]).all():
        raise SurfposeError(f"{surface.name}: view features that are not finite; {again}")
    if surface.feature_valid.any(axis=1).sum() < MIN_VERTICES:
        raise SurfposeError(f"{surface.name}: cameras saw fewer than {MIN_VERTICES} vertices; {again}")
