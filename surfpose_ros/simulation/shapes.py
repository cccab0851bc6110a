"""Building blocks of parametric objects, with texture coordinates: surfaces of revolution, tubes, boxes."""

import numpy as np

from surfpose_ros.simulation.textured_mesh import TexturedMesh, textured_mesh


def grid_faces(rows: int, columns: int) -> np.ndarray:
    """Faces ``(2 (rows - 1)(columns - 1), 3)`` of a grid of vertices numbered row by row."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = first, first + 1, first + columns, first + columns + 1
    return np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])


def revolved(
    profile: np.ndarray, texture: np.ndarray, segments: int = 96, gloss: float = 0.2
) -> TexturedMesh:
    """The surface that `profile` sweeps round the z axis.

    Args:
        profile: ``(N, 2)`` of (radius, z), walked so that the outside is on its right (outer wall upwards).
        texture: ``(H, W, 3)``; its width goes once round, counter-clockwise from +x seen from above, its
            top edge is the profile's end.
        segments: number of facets round the axis.
        gloss: see `TexturedMesh`.
    """
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    radius, height = profile[:, :1], profile[:, 1:]
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    vertices = np.stack([x, y, np.broadcast_to(height, x.shape)], axis=-1).reshape(-1, 3)
    steps = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)]) / max(steps.sum(), 1e-12)
    u, v = np.meshgrid(angle / (2 * np.pi), along)
    faces = _not_degenerate(vertices, grid_faces(len(profile), segments + 1))
    return textured_mesh(vertices, faces, np.stack([u, v], axis=-1).reshape(-1, 2), texture, gloss)


def tube(
    path: np.ndarray,
    half_width: np.ndarray,
    half_depth: np.ndarray,
    texture: np.ndarray,
    gloss: float = 0.2,
) -> TexturedMesh:
    """A tube of elliptic section along a path in the xz plane.

    Args:
        path: ``(N, 2)`` of (x, z), walked so that the outside of the bend is on its left.
        half_width: ``(N,)`` half axis along y.
        half_depth: ``(N,)`` half axis in the path's plane.
        texture: ``(H, W, 3)``, its height along the path.
        gloss: see `TexturedMesh`.
    """
    angle = np.linspace(0, 2 * np.pi, 25)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    outward = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    depth = half_depth[:, None] * np.cos(angle)
    x = path[:, :1] + depth * outward[:, :1]
    z = path[:, 1:] + depth * outward[:, 1:]
    y = half_width[:, None] * np.sin(angle)
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    u, v = np.meshgrid(angle / (2 * np.pi), np.linspace(0, 1, len(path)))
    faces = grid_faces(len(path), len(angle))
    return textured_mesh(vertices, faces, np.stack([u, v], axis=-1).reshape(-1, 2), texture, gloss)


def box(size: np.ndarray, texture: np.ndarray, gloss: float = 0.2) -> TexturedMesh:
    """A box ``size`` (3,) round the origin, the whole texture on every side."""
    corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    uv: list[np.ndarray] = []
    for axis in range(3):
        for sign in (-1, 1):
            points = np.zeros((4, 3))
            points[:, axis] = sign
            points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = corner[:, 0] * sign, corner[:, 1]
            faces.append(np.array([[0, 1, 2], [0, 2, 3]]) + 4 * len(vertices))
            vertices.append(points * np.asarray(size) / 2)
            uv.append(corner / 2 + 0.5)
    return textured_mesh(
        np.concatenate(vertices), np.concatenate(faces), np.concatenate(uv), texture, gloss
    )


def ellipsoid(size: np.ndarray, texture: np.ndarray, gloss: float = 0.2) -> TexturedMesh:
    """An ellipsoid with full axes ``size`` (3,) round the origin."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 33)
    ball = revolved(np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2, texture, 48, gloss)
    corners = ball.corners * np.asarray(size, np.float32)
    normals = ball.normals / np.asarray(size, np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return TexturedMesh(corners, normals, ball.uv, ball.texture, ball.textures, gloss)


def rounded(profile: np.ndarray, per_corner: int = 5, share: float = 0.3) -> np.ndarray:
    """A polyline ``(N, 2)`` with its inner corners cut into arcs (quadratic Bezier)."""
    points = [profile[0]]
    t = np.linspace(0, 1, per_corner)[:, None]
    for before, corner, after in zip(profile[:-2], profile[1:-1], profile[2:], strict=True):
        start, end = corner + share * (before - corner), corner + share * (after - corner)
        points.extend((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    points.append(profile[-1])
    return np.array(points)


def evenly(path: np.ndarray, count: int) -> np.ndarray:
    """A polyline ``(N, 2)`` resampled at `count` equal steps."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, path[:, i]) for i in range(2)], axis=1)


def _not_degenerate(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The faces with an area: at a pole, one of each pair has none."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return faces[area > 1e-9 * max(area.max(), 1e-30)]
