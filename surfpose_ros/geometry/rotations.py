"""Rotations as matrices and unit quaternions (w, x, y, z): conversions, angles, means, samples.

Everything is batched over leading dimensions and keeps the input's dtype and device.
"""

import torch
from torch import Tensor


def rotation_from_quaternion(wxyz: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` of quaternions ``(..., 4)`` in the order (w, x, y, z).

    The quaternions need not be of unit length.

    Example:
        >>> rotation_from_quaternion(torch.tensor([0.0, 0.0, 0.0, 2.0])).diagonal().tolist()
        [-1.0, -1.0, 1.0]
    """
    w, x, y, z = torch.nn.functional.normalize(wxyz, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions ``(..., 4)`` (w, x, y, z), w >= 0, of rotation matrices ``(..., 3, 3)``.

    The quaternion is the main eigenvector of a symmetric matrix made of the rotation's entries
    (Bar-Itzhack, JGCD 2000), which is stable near half turns.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    yx, zx, zy = m[..., 1, 0] + m[..., 0, 1], m[..., 2, 0] + m[..., 0, 2], m[..., 2, 1] + m[..., 1, 2]
    wx = m[..., 2, 1] - m[..., 1, 2]
    wy = m[..., 0, 2] - m[..., 2, 0]
    wz = m[..., 1, 0] - m[..., 0, 1]
    rows = [
        xx + yy + zz, wx, wy, wz,
        wx, xx - yy - zz, yx, zx,
        wy, yx, yy - xx - zz, zy,
        wz, zx, zy, zz - xx - yy,
    ]  # fmt: skip
    symmetric = torch.stack(rows, dim=-1).unflatten(-1, (4, 4))
    quaternion = torch.linalg.eigh(symmetric).eigenvectors[..., -1]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_from_rotvec(rotvec: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` of rotation vectors ``(..., 3)``: axis times angle, radians."""
    return torch.linalg.matrix_exp(cross_matrix(rotvec))


def rodrigues(rotvec: Tensor) -> Tensor:
    """As `rotation_from_rotvec`, up to the last digit, by a formula for which no GPU waits (Rodrigues)."""
    cross, angle = cross_matrix(rotvec), rotvec.norm(dim=-1)[..., None, None]
    # sinc(x) is sin(pi x) / (pi x), and 1 at zero.
    sine, versine = torch.sinc(angle / torch.pi), torch.sinc(angle / (2 * torch.pi)).square() / 2
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    square = rotvec[..., :, None] * rotvec[..., None, :] - angle.square() * identity  # cross @ cross
    return identity + sine * cross + versine * square


def rotvec_from_rotation(rotation: Tensor) -> Tensor:
    """Rotation vectors ``(..., 3)``, angle in [0, pi] radians, of matrices ``(..., 3, 3)``."""
    quaternion = quaternion_from_rotation(rotation)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    sine = xyz.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, w)
    tiny = sine < 1e-7
    return xyz * torch.where(tiny, torch.full_like(sine, 2.0), angle / sine.clamp_min(1e-12))


def cross_matrix(vector: Tensor) -> Tensor:
    """The matrices ``(..., 3, 3)`` that take u to ``vector x u``, for vectors ``(..., 3)``."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def rotation_angle(target: Tensor, source: Tensor) -> Tensor:
    """Geodesic angle in radians, ``(...)``, between rotations ``(..., 3, 3)``.

    Uses the chord, ``2 asin(|A - B|_F / sqrt(8))``, which keeps its precision for small angles.

    Example:
        >>> half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        >>> round(rotation_angle(half_turn, torch.eye(3)).item(), 4)
        3.1416
    """
    chord = (target - source).flatten(-2).norm(dim=-1)
    return 2 * torch.asin((chord / 8**0.5).clamp(max=1.0))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotations ``(..., 3, 3)`` nearest to any matrices ``(..., 3, 3)`` in the Frobenius norm."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.ones_like(matrix[..., 0])
    sign[..., 2] = torch.linalg.det(u @ vt).sign()
    return (u * sign[..., None, :]) @ vt


def mean_rotation(rotations: Tensor, weights: Tensor | None = None) -> Tensor:
    """Chordal mean ``(3, 3)`` of rotations ``(N, 3, 3)`` with optional weights ``(N,)``."""
    if weights is None:
        weights = torch.ones_like(rotations[:, 0, 0])
    return nearest_rotation((weights[:, None, None] * rotations).sum(dim=0))


def median_rotation(rotations: Tensor, steps: int = 200) -> Tensor:
    """Geodesic median ``(3, 3)`` of rotations ``(N, 3, 3)``: few outliers do not move it.

    Weiszfeld's algorithm on SO(3) (Hartley, Aftab and Trumpf, CVPR 2011), begun at the rotation with the
    smallest sum of angles to the others. Angles below half a degree are smoothed over: there the
    algorithm would stand still at a single rotation.
    """
    angles = rotation_angle(rotations[:, None], rotations[None])
    median = rotations[angles.sum(dim=1).argmin()]
    for _ in range(steps):
        offsets = rotvec_from_rotation(rotations @ median.T)
        weights = 1 / torch.hypot(offsets.norm(dim=1), torch.tensor(0.01).to(offsets))
        step = (weights[:, None] * offsets).sum(dim=0) / weights.sum()
        median = rotation_from_rotvec(step) @ median
        if step.norm() < 1e-7:
            break
    return median


def random_rotations(count: int, generator: torch.Generator | None = None) -> Tensor:
    """``(count, 3, 3)`` float64 rotations, uniform over SO(3)."""
    quaternions = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return rotation_from_quaternion(quaternions)


def camera_from_object_views(azimuth: Tensor, elevation: Tensor, roll: Tensor) -> Tensor:
    """Rotations ``(..., 3, 3)`` of a camera that looks at the object's origin.

    The object frame is REP-103 (x front, y left, z up), the camera frame OpenCV's optical frame. At
    azimuth 0 the camera stands in front of the object; it goes round to the object's left (+y) as
    azimuth grows and up as elevation grows; positive roll turns the picture clockwise. Radians.
    """
    ca, sa, ce, se = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
    zero = torch.zeros_like(ca)
    right = torch.stack([-sa, ca, zero], dim=-1)
    down = torch.stack([se * ca, se * sa, -ce], dim=-1)
    forward = torch.stack([-ce * ca, -ce * sa, -se], dim=-1)
    upright = torch.stack([right, down, forward], dim=-2)
    cr, sr, one = roll.cos(), roll.sin(), torch.ones_like(roll)
    rows = [cr, -sr, zero, sr, cr, zero, zero, zero, one]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3)) @ upright


def toward(rays: Tensor) -> Tensor:
    """The smallest rotations that turn a camera's optical axis onto rays ``(..., 3)``, ``(..., 3, 3)``.

    They take a pose that a camera sees straight ahead to one that looks the same along the ray.
    """
    ray = torch.nn.functional.normalize(rays, dim=-1)
    x, y, z = ray.unbind(-1)
    k = 1 / (1 + z).clamp_min(1e-6)
    rows = [1 - k * x * x, -k * x * y, x, -k * x * y, 1 - k * y * y, y, -x, -y, z]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def sphere_directions(count: int) -> Tensor:
    """``(count, 3)`` unit vectors spread evenly over the sphere (Fibonacci spiral)."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * index / count
    azimuth = torch.pi * (1 + 5**0.5) * index
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), z], dim=-1).float()
