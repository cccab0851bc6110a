"""Surface from depth: truncated signed distances averaged on a grid (Curless and Levoy, SIGGRAPH 1996).

Silhouettes cannot see into a mug; depth can. Where no depth image looked, the silhouettes' hull decides.
"""

import numpy as np

from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.surface.hull import VoteField
from surfpose_ros.video.object_video import Frame, ObjectVideo

# Distances beyond so many grid steps count as this far: about the noise of depth cameras at arm's length.
TRUNCATION = 3.0
# With depth in fewer frames than this, the hull alone is better.
MIN_FRAMES = 6


def has_depth(video: ObjectVideo) -> bool:
    """Whether a video's depth images can shape its mesh: enough of them, and poses in metres too."""
    return video.metric and sum(frame.depth is not None for frame in video.frames) >= MIN_FRAMES


def fuse_depth(frames: list[Frame], poses: np.ndarray, hull: VoteField, level: float) -> VoteField:
    """The hull's grid with what depth says: above 0.5 inside, below outside.

    Args:
        frames: with masks, and depth in some.
        poses: camera_from_video ``(N, 4, 4)``, metres.
        hull: votes of the silhouettes.
        level: above which the votes are inside.
    """
    shape = hull.votes.shape
    axes = [hull.origin[axis] + hull.spacing * np.arange(shape[axis]) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside_hull = hull.votes.ravel() > level
    # Only what the silhouettes leave can be inside, so only that is looked at.
    kept = np.flatnonzero(inside_hull)
    total, weight = np.zeros(len(kept), np.float32), np.zeros(len(kept), np.float32)
    truncation = TRUNCATION * hull.spacing
    for frame, pose in zip(frames, poses, strict=True):
        if frame.depth is None or frame.mask is None:
            continue
        in_camera = points[kept] @ pose[:3, :3].T + pose[:3, 3]
        pixels = in_camera @ frame.camera.matrix.T
        u, v = np.round(pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)).astype(int).T
        shown = (u >= 0) & (v >= 0) & (u < frame.camera.width) & (v < frame.camera.height)
        seen = np.zeros(len(kept), np.float32)
        seen[shown] = np.where(frame.mask, frame.depth, 0)[v[shown], u[shown]]
        ahead = seen - in_camera[:, 2]  # positive before the surface
        counts = (seen > 0) & (ahead > -truncation)
        total[counts] += np.minimum(ahead[counts] / truncation, 1)
        weight[counts] += 1
    votes = np.zeros(len(points), np.float32)
    distance = np.where(weight > 0, total / np.maximum(weight, 1), -1.0)
    votes[kept] = np.clip(0.5 - 0.5 * distance, 0, 1)
    # The hull's own smooth edge, so that the surface is no staircase where depth does not cut it.
    edge = np.clip(0.5 + 0.5 * (hull.votes.ravel() - level) / max(1 - level, 1e-3), 0, 1)
    votes = np.where(inside_hull, np.minimum(votes, edge), np.minimum(edge, 0.5))
    return VoteField(votes.reshape(shape).astype(np.float32), hull.origin, hull.spacing)


def depth_mesh(frames: list[Frame], poses: np.ndarray, hull: VoteField, level: float) -> Mesh:
    """The closed surface of `fuse_depth`."""
    return fuse_depth(frames, poses, hull, level).mesh(0.5)
