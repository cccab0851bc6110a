"""Distance to a surface, and its normal there, at any point of space: a look-up instead of a search.

Each surface has a cube of grid nodes about it; values between the nodes are interpolated.
"""

import torch
from scipy.spatial import cKDTree
from torch import Tensor

HALF_WIDTH = 0.65  # of the cube, in diameters; the surface reaches hardly beyond 0.6


def surface_fields(points: Tensor, normals: Tensor, size: int) -> Tensor:
    """What the nearest surface point is like, at ``size``^3 grid nodes.

    Args:
        points: of N surfaces, ``(N, M, 3)``.
        normals: of the points, unit length, ``(N, M, 3)``.
        size: G.

    Returns:
        ``(4, N, G, G, G)``, z first: the distance, and the normal's x, y and z.
    """
    axis = torch.linspace(-HALF_WIDTH, HALF_WIDTH, size, device=points.device)
    nodes = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")[::-1], dim=-1).reshape(-1, 3)
    nearest = _nearest_by_tree if points.device.type == "cpu" else _nearest_by_force
    fields = []
    for cloud, directions in zip(points, normals, strict=True):
        distance, index = nearest(nodes, cloud)
        fields.append(torch.cat([distance[None], directions[index].T]))
    return torch.stack(fields, dim=1).unflatten(2, (size, size, size))


def _nearest_by_tree(nodes: Tensor, cloud: Tensor) -> tuple[Tensor, Tensor]:
    distance, index = cKDTree(cloud.numpy()).query(nodes.numpy(), workers=-1)
    return torch.from_numpy(distance).float(), torch.from_numpy(index)


def _nearest_by_force(nodes: Tensor, cloud: Tensor) -> tuple[Tensor, Tensor]:
    found = [torch.cdist(part, cloud).min(dim=1) for part in nodes.split(1 << 16)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def field_distance(fields: Tensor, index: Tensor, points: Tensor) -> Tensor:
    """Distance from points to surfaces, ``(P, ...)``; see `field_values`."""
    return field_values(fields[:1], index, points)[..., 0]


def field_values(fields: Tensor, index: Tensor, points: Tensor) -> Tensor:
    """Distance from points to surfaces, and the normals there, interpolated in their fields.

    Beyond a field's cube, the way to the cube is added to the distance, so that it keeps growing. A
    normal is shorter than one where the nearest parts of the surface look different ways.

    Args:
        fields: ``(C, N, G, G, G)``, the first C channels of `surface_fields`.
        index: which surface, ``(P,)``.
        points: ``(P, ..., 3)``.

    Returns:
        ``(P, ..., C)``; differentiable with respect to the points.
    """
    count, size = fields.shape[1:3]
    flat = points.flatten(1, -2)
    inside = flat.clamp(-HALF_WIDTH, HALF_WIDTH)
    unit = inside / HALF_WIDTH
    # All fields are one tall volume, N G slices high: choosing one by z copies nothing.
    slice_ = index[:, None] * size + (unit[..., 2] + 1) / 2 * (size - 1)
    grid = torch.stack([unit[..., 0], unit[..., 1], 2 * slice_ / (count * size - 1) - 1], dim=-1)
    volume = fields.flatten(1, 2)[None].expand(len(index), -1, -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(
        volume, grid[:, None, None], align_corners=True, padding_mode="border"
    )[:, :, 0, 0]
    beyond = (flat - inside).square().sum(dim=-1).add(1e-12).sqrt()
    values = torch.cat([sampled[:, :1] + beyond[:, None], sampled[:, 1:]], dim=1)
    return values.movedim(1, -1).unflatten(1, points.shape[1:-1])
