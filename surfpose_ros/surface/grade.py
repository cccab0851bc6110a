"""How good a recording is for a surface, and what to record differently where it is not good."""

from dataclasses import dataclass

import numpy as np

from surfpose_ros.surface.up import up_from_cameras
from surfpose_ros.video.object_video import Frame

# A view speaks for so much of the way round, as far as the next one.
VIEW_DEG = 30.0
# Marks from the best down: least azimuth (degrees), share of whole objects, silhouette overlap.
_MARKS = (("A", 330.0, 0.9, 0.9), ("B", 240.0, 0.75, 0.8), ("C", 150.0, 0.5, 0.6))


@dataclass(frozen=True)
class CaptureGrade:
    """What a recording covers.

    Attributes:
        mark: A to C; F where no surface should be made of it.
        azimuth_deg: how much of the way round was seen.
        elevation_deg: lowest and highest camera above the horizontal.
        whole: share of frames in which the object does not touch the picture's border.
        cover: median share of the picture that the object fills.
        overlap: mean intersection over union of the masks with their hull's silhouettes.
        advice: what to record differently; empty for an A.
    """

    mark: str
    azimuth_deg: float
    elevation_deg: tuple[float, float]
    whole: float
    cover: float
    overlap: float
    advice: tuple[str, ...]

    def __str__(self) -> str:
        low, high = self.elevation_deg
        return (
            f"grade {self.mark}: {self.azimuth_deg:.0f} degrees of azimuth, elevation {low:.0f} to "
            f"{high:.0f}, whole in {self.whole:.0%} of frames, silhouette overlap {self.overlap:.3f}"
        )


def grade_capture(
    frames: list[Frame], poses: np.ndarray, centre: np.ndarray, up: np.ndarray | None, overlap: float
) -> CaptureGrade:
    """Grade the frames that a surface is made of.

    Args:
        frames: with masks.
        poses: camera_from_video, ``(N, 4, 4)``.
        centre: of the object in the video's frame, ``(3,)``.
        up: unit vector in the video's frame; the cameras' own if None.
        overlap: of masks and hull.
    """
    masks = [frame.mask for frame in frames if frame.mask is not None]
    azimuth, elevation = viewing_angles(poses, centre, up)
    gaps = np.diff(np.sort(np.degrees(azimuth) % 360), append=np.degrees(azimuth % (2 * np.pi)).min() + 360)
    seen = float(np.minimum(gaps, VIEW_DEG).sum())
    whole = float(np.mean([not _touches_border(mask) for mask in masks]))
    cover = float(np.median([mask.mean() for mask in masks]))
    marks = [
        name
        for name, *least in _MARKS
        if all(value >= bound for value, bound in zip((seen, whole, overlap), least, strict=True))
    ]
    low, high = np.degrees(elevation.min()), np.degrees(elevation.max())
    advice = []
    if seen < _MARKS[0][1]:
        advice.append(f"go all the way round the object (seen: {seen:.0f} of 360 degrees)")
    if whole < _MARKS[0][2]:
        advice.append(f"keep the whole object in the picture (it is in {whole:.0%} of the frames)")
    if overlap < _MARKS[1][3]:
        advice.append(
            "check masks and camera poses: they disagree (a spin may go the other way: --turn=-360); the "
            "object must not move against its base"
        )
    if cover < 0.01:
        advice.append(f"go nearer (the object fills {cover:.1%} of the picture)")
    if high - low < 10:
        advice.append("record a second ring at another height; one ring tells little of top and bottom")
    mark = marks[0] if marks else "F"
    return CaptureGrade(mark, seen, (float(low), float(high)), whole, cover, overlap, tuple(advice))


def viewing_angles(
    poses: np.ndarray, centre: np.ndarray, up: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation in radians, ``(N,)`` each, of the cameras seen from the object's centre.

    Azimuth counts from an arbitrary direction. Without `up`, the cameras' own or their mean image up
    stands for it.
    """
    if up is None:
        told = up_from_cameras(poses)
        up = told[0] if told else -poses[:, 1, :3].mean(axis=0)
    up = up / np.linalg.norm(up)
    toward = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3]) - centre
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    front = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    front /= np.linalg.norm(front)
    side = np.cross(up, front)
    return np.arctan2(toward @ side, toward @ front), np.arcsin(np.clip(toward @ up, -1, 1))


def _touches_border(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
