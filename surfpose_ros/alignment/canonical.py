"""The canonical frame: z up where the surfaces tell "up", origin and unit from the mean bounding box."""

from collections.abc import Sequence

import numpy as np
import torch

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.surface.surface import Surface

AXES = tuple(sign + axis for axis in "xyz" for sign in "+-")  # as a person names them
AS_ASKED = ", as asked"  # ends what an alignment's `axes` say of one that a person named


def canonical_frame(
    surfaces: Sequence[Surface], common_from_video: np.ndarray
) -> tuple[np.ndarray, dict[str, str]]:
    """The frame to which aligned surfaces are brought last.

    z points up where the surfaces tell it, else along the shortest principal axis; x along the longest
    horizontal one, to the side that reaches further from the centroid: which is the front, only a person
    knows. The origin is the centre of the mean
    bounding box, the unit the mean diagonal of the bounding boxes.

    Args:
        surfaces: aligned ones.
        common_from_video: their similarities into one common frame, ``(N, 4, 4)``.

    Returns:
        ``canonical_from_common``, a ``(4, 4)`` similarity, and where "up" and "front" come from.
    """
    moved = [
        surface.mesh.transformed(pose).vertices.astype(np.float64)
        for surface, pose in zip(surfaces, common_from_video, strict=True)
    ]
    principal = _principal_axes(moved)
    up, origin_of_up = mean_up(surfaces, common_from_video)
    if up is None:
        up, origin_of_up = principal[2], "not known: shortest principal axis of the mean shape"
    horizontal = [axis - (axis @ up) * up for axis in principal]
    horizontal = [axis / np.linalg.norm(axis) for axis in horizontal if np.linalg.norm(axis) > 0.3]
    front = max(horizontal, key=lambda axis: _extent(moved, axis))
    front = front * _reaches_further(moved, front)
    rotation = np.stack([front, np.cross(up, front), up])
    boxes = np.array([[(v @ rotation.T).min(axis=0), (v @ rotation.T).max(axis=0)] for v in moved])
    unit = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1).mean()
    frame = np.eye(4)
    frame[:3, :3] = rotation / unit
    frame[:3, 3] = -boxes.mean(axis=(0, 1)) / unit
    return frame, {
        "up": origin_of_up,
        "front": "not known: longest horizontal axis; set it with surfpose retrain --front",
    }


def mean_up(surfaces: Sequence[Surface], common_from_video: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Mean of what the surfaces know of "up", ``(3,)`` in the common frame, weighted by certainty; and
    how many told it, with their spread."""
    directions, weights = [], []
    for surface, pose in zip(surfaces, common_from_video, strict=True):
        if surface.up is not None:
            direction = pose[:3, :3] @ surface.up
            directions.append(direction / np.linalg.norm(direction))
            weights.append(1 / max(surface.up_sigma_deg or 1.0, 0.5) ** 2)
    if not directions:
        return None, ""
    mean = np.average(directions, axis=0, weights=weights)
    length = np.linalg.norm(mean)
    if length < 0.5:
        return None, ""
    mean = mean / length
    spread = np.degrees(np.arccos(np.clip(np.array(directions) @ mean, -1, 1)))
    told = f"told by {len(directions)} of {len(surfaces)} videos"
    return mean, f"{told}, {np.median(spread):.1f} degrees off in the median"


def _principal_axes(clouds: list[np.ndarray]) -> np.ndarray:
    """Principal axes of all points, rows, longest first, each cloud weighing the same."""
    covariance = sum(np.cov(points.T) for points in clouds)
    return np.linalg.eigh(covariance)[1][:, ::-1].T


def _reaches_further(clouds: list[np.ndarray], axis: np.ndarray) -> float:
    """1 if the clouds reach further from their centroids along `axis` than against it, else -1."""
    along = [(points - points.mean(axis=0)) @ axis for points in clouds]
    return 1.0 if sum(float(values.max() + values.min()) for values in along) >= 0 else -1.0


def _extent(clouds: list[np.ndarray], axis: np.ndarray) -> float:
    return float(np.mean([np.ptp(points @ axis) for points in clouds]))


def relabelling(front: str | None, up: str | None) -> np.ndarray:
    """The rotation ``(3, 3)``, new_from_old, that makes the axes so named the front (x) and up (z).

    Args:
        front: +x, -x, +y, -y, +z or -z of the old frame; None keeps it as near as can be.
        up: the same.

    Raises:
        SurfposeError: another name, or both along one line.
    """
    z = _axis(up or "+z")
    x = _axis(front) if front else next(_axis(name) for name in ("+x", "+y") if abs(_axis(name) @ z) < 0.5)
    if abs(x @ z) > 0.5:
        raise SurfposeError(f"front {front} and up {up or '+z'} lie along one line; choose two that do not")
    return np.stack([x, np.cross(z, x), z])


def turned_as_asked(alignment: Alignment, front: str | None, up: str | None) -> Alignment:
    """The alignment with its front and up as a person names them, see `relabelling`; itself where it says
    that it is so already."""
    said = {name: axis + AS_ASKED for name, axis in (("front", front), ("up", up)) if axis}
    if said.items() <= alignment.axes.items():
        return alignment
    return alignment.relabelled(relabelling(front, up), said)


def same_way_round(alignment: Alignment, older: Alignment) -> Alignment:
    """The alignment, its axes where an older one of some of the same videos has them.

    Which way the longest axis points may turn on one video more; what programs take for the front may not.
    """
    common = sorted(alignment.canonical_from_video.keys() & older.canonical_from_video.keys())
    if not common:
        return alignment
    new, old = (
        decompose_similarity(torch.from_numpy(np.stack([one.canonical_from_video[n] for n in common])))[0]
        for one in (alignment, older)
    )
    turn = (old @ new.mT).sum(dim=0).numpy()
    rotations = [relabelling(front, up) for front in AXES for up in AXES if front[1] != up[1]]
    nearest = max(rotations, key=lambda rotation: float((rotation * turn).sum()))
    asked = {name: said for name, said in older.axes.items() if said.endswith(AS_ASKED)}
    return alignment.relabelled(nearest, asked)


def _axis(name: str) -> np.ndarray:
    if name not in AXES:
        raise SurfposeError(f"{name!r} is no axis; write +x, -x, +y, -y, +z or -z, as in the picture")
    return np.eye(3)["xyz".index(name[1])] * (1.0 if name[0] == "+" else -1.0)
