"""How the labels' frame lies in the canonical frame, told by the training videos' own labels.

A video's labels give camera_from_label, its capture gives camera_from_video, and the alignment gives
canonical_from_video: together they give canonical_from_label, once a frame. If the alignment is right,
that is the same rotation for every video.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.geometry.rotations import median_rotation, rotation_angle
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.simulation.captures import read_truth
from surfpose_ros.video.capture import find_captures
from surfpose_ros.video.labels import LabelRow, read_labels
from surfpose_ros.video.object_video import ObjectVideo
from surfpose_ros.video.reader import read_capture


@dataclass(frozen=True)
class VideoLabels:
    """What the labels say of one video.

    Attributes:
        name: of the video.
        category: of its capture.
        video_from_label: rotation, ``(3, 3)``, the median over the frames.
        spread_deg: median angle of the single frames to it; large where labels and poses disagree.
        frames: how many frames are labelled.
    """

    name: str
    category: str
    video_from_label: Array
    spread_deg: float
    frames: int


def read_axes(
    captures: Path, labels: Path, root: Path | None, progress: Progress = silent
) -> dict[str, VideoLabels]:
    """The labels of every capture in a folder, of a labels CSV or of a simulation's ``truth.json``.

    Args:
        captures: a capture, or a folder of captures.
        labels: the CSV they were imported from, or the file that `surfpose simulate` wrote beside them.
        root: what the CSV's image names are relative to; its folder if None.
        progress: told of each capture.

    Raises:
        SurfposeError: as `read_labels` and `read_video_labels`.
    """
    if labels.suffix == ".json":
        return true_video_labels(labels.parent, labels.parent.name)
    return read_video_labels(captures, read_labels(labels, root or labels.parent), progress)


def true_video_labels(captures: Path, category: str) -> dict[str, VideoLabels]:
    """The simulated captures' own truth, as labels."""
    found = {}
    for name, video_from_object in read_truth(captures).items():
        rotation = video_from_object[:3, :3] / np.cbrt(np.linalg.det(video_from_object[:3, :3]))
        found[name] = VideoLabels(name, category, rotation, 0.0, 1)
    return found


def read_video_labels(
    captures: Path, rows: Sequence[LabelRow], progress: Progress = silent
) -> dict[str, VideoLabels]:
    """The labels of every capture in a folder, by the name of the capture.

    Args:
        captures: a capture, or a folder of captures.
        rows: of the labels CSV that the captures were imported from.
        progress: told of each capture.

    Raises:
        SurfposeError: a capture without poses, or with no labelled frame.
    """
    folders = find_captures([captures])
    names = Counter(folder.resolve().name for folder in folders)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise SurfposeError(f"{captures}: two captures are named {twice[0]}; names tell videos apart")
    labels = {row.image: row for row in rows}
    found = (
        video_labels(read_capture(f), labels) for f in track(folders, progress, "captures", len(folders))
    )
    return {video.name: video for video in found}


def video_labels(video: ObjectVideo, labels: Mapping[str, LabelRow]) -> VideoLabels:
    """The labels of one video; `labels` maps the names of images, as in the CSV, to their rows.

    Raises:
        SurfposeError: no frame has both a camera pose and a label.
    """
    pairs = [
        (frame.camera_from_video[:3, :3], labels[frame.name].rotation)
        for frame in video.frames
        if frame.camera_from_video is not None and frame.name in labels
    ]
    if not pairs:
        reason = (
            "its frames have no camera poses"
            if all(frame.camera_from_video is None for frame in video.frames)
            else f"the labels do not name its images (its first is {video.frames[0].name!r})"
        )
        raise SurfposeError(
            f"capture {video.name}: no frame can be compared with the labels: {reason}; "
            "give the labels that the captures were imported from"
        )
    camera_from_video, camera_from_label = (
        torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True)
    )
    video_from_label = camera_from_video.transpose(1, 2) @ camera_from_label
    median = median_rotation(video_from_label)
    spread = rotation_angle(video_from_label, median).median().rad2deg().item()
    return VideoLabels(video.name, video.category, median.numpy(), spread, len(pairs))


def canonical_from_label(canonical_from_video: Array, video: VideoLabels) -> Array:
    """Rotation ``(3, 3)`` by one video, whose alignment is a ``(4, 4)`` similarity."""
    rotation = decompose_similarity(torch.as_tensor(canonical_from_video, dtype=torch.float64))[0]
    return np.asarray(rotation.numpy() @ video.video_from_label)


def median_up_to(rotations: Tensor, symmetry: Symmetry) -> Tensor:
    """Median ``(3, 3)`` of rotations ``(N, 3, 3)``, each turned by the symmetry towards the others."""
    if not symmetry:
        return median_rotation(rotations)
    central = symmetry.distance(rotations[:, None], rotations[None]).sum(dim=1).argmin()
    return median_rotation(symmetry.nearest(rotations, rotations[central].expand_as(rotations)))


def fit_canonical_from_label(
    canonical_from_video: Mapping[str, Array],
    videos: Mapping[str, VideoLabels],
    canonical_symmetry: Symmetry | None = None,
) -> tuple[Array, Array]:
    """The one rotation that links labels and model, the median over the training videos.

    Args:
        canonical_from_video: of the model's training videos, similarities ``(4, 4)``.
        videos: their labels.
        canonical_symmetry: of the object in the canonical frame, if it has any.

    Returns:
        ``canonical_from_label`` ``(3, 3)``, and the angle of each video's own to it, degrees, ``(N,)``.

    Raises:
        SurfposeError: none of the model's training videos is among the labelled ones.
    """
    shared = [name for name in canonical_from_video if name in videos]
    if not shared:
        raise SurfposeError(
            f"none of the model's {len(canonical_from_video)} training videos is among the {len(videos)} "
            "captures: give the captures that it was trained on, to link its axes to the labels'"
        )
    single = np.stack([canonical_from_label(canonical_from_video[name], videos[name]) for name in shared])
    label_from_canonical = torch.from_numpy(single).transpose(1, 2)
    symmetry = canonical_symmetry or Symmetry()
    median = median_up_to(label_from_canonical, symmetry)
    return median.T.numpy(), symmetry.distance(label_from_canonical, median).rad2deg().numpy()
