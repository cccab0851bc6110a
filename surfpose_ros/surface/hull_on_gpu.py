"""What carving repeats for every view, on a GPU: grid points looked up in silhouettes, and the votes along
every pixel's ray. It does what OpenCV and rays do on the CPU; see `hull`.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

# Votes are looked up once a grid step along a ray, then so often within a step of the best place: between
# two places the peak of a thin wing would be missed.
FINE = 17


def on_gpu(device: str) -> bool:
    """Whether a torch device is one on which these functions pay."""
    return torch.device(device).type != "cpu"


def summed_on_gpu(
    membership: np.ndarray, pixel_from_point: np.ndarray, counts: np.ndarray, device: str
) -> np.ndarray:
    """The views' memberships at all points of a grid, summed.

    Args:
        membership: maps ``(N, S, S)`` float32; beyond its border a map goes on.
        pixel_from_point: projections ``(N, 3, 4)`` of the points' numbers along the grid's axes.
        counts: points along each axis, ``(3,)``.
        device: torch device.

    Returns:
        float32 of the shape `counts`.
    """
    maps = torch.from_numpy(membership).to(device)
    projections = torch.from_numpy(pixel_from_point).float().to(device)
    x, y, z = (torch.arange(int(count), device=device)[:, None] for count in counts)
    votes = torch.zeros(tuple(counts.tolist()), device=device)
    for plane, projection in zip(maps, projections, strict=True):
        of_x, of_y, of_z, start = projection.T
        homogeneous = (x * of_x + start)[:, None, None] + (y * of_y)[:, None] + z * of_z
        pixels = homogeneous[..., :2] / homogeneous[..., 2:].clamp_min(1e-6)
        grid = ((2 * pixels + 1) / plane.shape[-1] - 1).flatten(0, 1)[None]
        sampled = grid_sample(plane[None, None], grid, padding_mode="border", align_corners=False)
        votes += sampled.view_as(votes)
    return votes.cpu().numpy()


def deepest_on_gpu(votes: np.ndarray, pixel_from_point: np.ndarray, size: int, device: str) -> np.ndarray:
    """The most votes that each pixel's ray meets: above a level where the level's mesh shows.

    Args:
        votes: on the grid, ``(X, Y, Z)`` float32; none beyond it.
        pixel_from_point: as of `summed_on_gpu`.
        size: of the square images, pixels.
        device: torch device.

    Returns:
        ``(N, size, size)`` float32.
    """
    volume = torch.from_numpy(votes).to(device)
    point_from_pixel = np.linalg.inv(pixel_from_point[:, :, :3])
    centres = -point_from_pixel @ pixel_from_point[:, :, 3:]
    v, u = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], dim=-1).flatten(0, 1).float().to(device)
    found = []
    for matrix, centre in zip(
        torch.from_numpy(point_from_pixel).float().to(device),
        torch.from_numpy(centres[..., 0]).float().to(device),
        strict=True,
    ):
        rays = torch.nn.functional.normalize(pixels @ matrix.T, dim=-1)
        found.append(_most(volume, centre, rays).view(size, size))
    return torch.stack(found).cpu().numpy()


def _most(volume: Tensor, centre: Tensor, rays: Tensor) -> Tensor:
    """The most along each of the rays ``(R, 3)`` from a camera's centre ``(3,)``, in grid steps."""
    shape = torch.tensor(volume.shape, device=rays.device)

    def looked_up(steps: Tensor) -> Tensor:
        """Votes at distances ``(R or 1, T)`` from the camera, ``(R, T)``."""
        places = centre + steps.clamp_min(0)[..., None] * rays[:, None]
        grid = (2 * places / (shape - 1) - 1).flip(-1)[None, None]  # the last axis of a volume comes first
        return grid_sample(volume[None, None], grid, align_corners=True)[0, 0, 0]

    reach = int(np.ceil(np.linalg.norm(volume.shape) / 2)) + 1
    away = (centre - (shape - 1) / 2).norm()
    steps = away + torch.arange(-reach, reach, device=rays.device)
    best = steps[looked_up(steps[None]).argmax(dim=1)]
    return looked_up(best[:, None] + torch.linspace(-1, 1, FINE, device=rays.device)).amax(dim=1)
