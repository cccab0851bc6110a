"""`capture.yaml`: what a bag cannot say of itself: the category, where the poses come from, which topics.

A capture is a rosbag2 folder with this file in it, so `ros2 bag play captures/mug_01` works on it.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import read_yaml, write_yaml
from surfpose_ros.video.board import BoardSpec

FORMAT_VERSION = 1
BESIDE = (".json", ".csv")
INFO_NAME = "capture.yaml"
POSE_SOURCES = ("auto", "dataset", "tf", "turntable", "board", "sfm")
TOPIC_ROLES = (
    "image", "camera_info", "mask", "depth", "background", "tf", "tf_static", "joint_states",
)  # fmt: skip


@dataclass(frozen=True)
class SourceFrame:
    """Ties an image of the bag to the file it was imported from.

    Attributes:
        stamp: of the image message's header, nanoseconds.
        image: as in the labels CSV's `image` column.
    """

    stamp: int
    image: str


@dataclass(frozen=True)
class CaptureInfo:
    """The content of `capture.yaml`; only `category` must be there.

    Attributes:
        category: of the object, chosen by whoever recorded it.
        object: which object of the category; any text.
        pose_source: one of `POSE_SOURCES`; auto finds it out from the bag.
        metric: True where the poses' unit is the metre.
        poses_exact: False where only the rotations are known and translations are a first guess.
        frame: TF frame in which the object rests (`dataset`, `tf`), or the turntable's base frame, whose
            z axis is the axis of rotation and whose plane z = 0 is the disc; "" takes the root of the
            camera's TF tree.
        joint: name of the turntable's joint in joint_states.
        up: unit vector in the video's frame, if whoever recorded it knows it.
        topics: role (one of `TOPIC_ROLES`) to topic; roles that are missing are found out by type.
        frames: where the images came from, for imported captures.
        notes: free text.
        board: the ChArUco board under the object, for the pose source `board`.
    """

    category: str
    object: str = ""
    pose_source: str = "auto"
    metric: bool = False
    poses_exact: bool = True
    frame: str = ""
    joint: str = "turntable_joint"
    up: tuple[float, float, float] | None = None
    topics: dict[str, str] = field(default_factory=dict)
    frames: tuple[SourceFrame, ...] = ()
    notes: str = ""
    board: BoardSpec | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.category, str) or not self.category.strip():
            raise ValueError("category must be a word, such as mug")
        if self.pose_source not in POSE_SOURCES:
            raise ValueError(
                f"pose_source is {self.pose_source!r}; it must be one of {', '.join(POSE_SOURCES)}"
            )
        unknown = set(self.topics) - set(TOPIC_ROLES)
        if unknown:
            raise ValueError(f"topics has {sorted(unknown)[0]!r}; the roles are {', '.join(TOPIC_ROLES)}")
        if self.up is not None:
            length = float(np.linalg.norm(self.up)) if len(self.up) == 3 else 0.0
            if not np.isfinite(length) or length < 1e-6:
                raise ValueError("up must be three numbers, not all zero")


def write_info(folder: Path, info: CaptureInfo) -> None:
    """Write `capture.yaml` into a bag folder, whole or not at all."""
    content: dict[str, Any] = {"format_version": FORMAT_VERSION, **asdict(info)}
    content["up"] = None if info.up is None else [float(number) for number in info.up]
    content["frames"] = [asdict(frame) for frame in info.frames]
    write_yaml(folder / INFO_NAME, content)


def read_info(folder: Path) -> CaptureInfo:
    """Read the `capture.yaml` of a capture folder.

    Raises:
        SurfposeError: no capture, or a field that is missing, unknown or wrong.
    """
    if not folder.is_dir():
        raise SurfposeError(f"{folder}: no such capture folder")
    path = folder / INFO_NAME
    if not path.exists():
        raise SurfposeError(
            f"{folder}: not a capture, it has no {INFO_NAME}; for a bag of your own, write one with the "
            f"two lines 'format_version: {FORMAT_VERSION}' and 'category: mug'"
        )
    content = read_yaml(path, kind="capture description", version=FORMAT_VERSION)
    del content["format_version"]
    try:
        content["frames"] = tuple(
            SourceFrame(int(frame["stamp"]), str(frame["image"])) for frame in content.get("frames") or ()
        )
        if content.get("board") is not None:
            content["board"] = BoardSpec(**content["board"])
        content["topics"] = dict(content.get("topics") or {})
        if content.get("up") is not None:
            content["up"] = tuple(float(number) for number in content["up"])
        return CaptureInfo(**content)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = str(error).replace("CaptureInfo.__init__() ", "").replace("BoardSpec.__init__()", "board")
        raise SurfposeError(f"{path}: {reason}; mend the file") from error


def find_captures(paths: list[Path]) -> list[Path]:
    """The capture folders that `paths` name, folders of captures opened one level, in order.

    Labels and truths that lie beside captures, as a shell's ``captures/*`` names them too, are passed over.

    Raises:
        SurfposeError: a path that is neither a capture nor a folder with captures in it, or none at all.
    """
    found: list[Path] = []
    for path in paths:
        if path.suffix in BESIDE and path.is_file():
            continue
        if (path / INFO_NAME).exists() or (path / "metadata.yaml").exists():
            found.append(path)
            continue
        inner = sorted(child.parent for child in path.glob(f"*/{INFO_NAME}"))
        if not inner:
            raise SurfposeError(
                f"{path}: neither a capture (a bag folder with a {INFO_NAME}) nor a folder of them"
            )
        found += [child for child in inner if not child.name.startswith(".")]
    if not found:
        raise SurfposeError(f"no captures in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(found))


def captures_by_name(paths: list[Path]) -> dict[str, Path]:
    """The folders that `find_captures` finds, by the names of their videos."""
    return {folder.resolve().name: folder for folder in find_captures(paths)}
