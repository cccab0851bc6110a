"""The bag of a capture: written whole or not at all, read message by message (rosbag2, mcap or sqlite3).

Pure Python through `rosbags`, so neither side needs a ROS install.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import PART
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import quaternion_from_rotation
from surfpose_ros.video.capture import CaptureInfo, write_info

TYPESTORE: Typestore = get_typestore(Stores.ROS2_JAZZY)

# /tf_static must be latched, or `ros2 bag play` shows it to early subscribers only.
_FOREVER = QosTime(9223372036, 854775807)
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, _FOREVER, _FOREVER,
    QosLiveliness.AUTOMATIC, _FOREVER, False,
)  # fmt: skip


def new_message(kind: str, **fields: Any) -> Any:
    """A message of a type such as ``sensor_msgs/msg/Image``, for `CaptureWriter.write`."""
    return TYPESTORE.types[kind](**fields)


def new_header(stamp: int, frame_id: str) -> Any:
    """A std_msgs/Header of a stamp in nanoseconds."""
    time = new_message("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return new_message("std_msgs/msg/Header", stamp=time, frame_id=frame_id)


class CaptureWriter:
    """Writes one capture as messages come; the folder appears when the block ends well.

    Stamps are nanoseconds. `info` may be replaced until the block ends.

    Example:
        >>> folder = Path(tempfile.mkdtemp()) / "mug_01"
        >>> with CaptureWriter(folder, CaptureInfo("mug")) as writer:
        ...     writer.write_joint("/joint_states", "turntable_joint", 0.1, stamp=10**9)
        >>> sorted(path.name for path in folder.iterdir())
        ['capture.yaml', 'metadata.yaml', 'mug_01.mcap']
    """

    def __init__(self, folder: Path, info: CaptureInfo, overwrite: bool = False) -> None:
        self.folder = folder
        self.info = info
        self.overwrite = overwrite
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> "CaptureWriter":
        if self.folder.exists() and not self.overwrite:
            raise SurfposeError(f"{self.folder}: exists already; delete it or choose another name")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._aside = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{self.folder.name}{PART}"))
        # The mcap file is named after its folder.
        self._writer = Writer(self._aside / self.folder.name, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._writer.abort()
                return
            self._writer.close()
            finished = self._aside / self.folder.name
            write_info(finished, self.info)
            if self.folder.exists():
                self.folder.replace(self._aside / "old")
            finished.replace(self.folder)
        finally:
            shutil.rmtree(self._aside, ignore_errors=True)

    def write_serialized(self, topic: str, kind: str, data: bytes, stamp: int) -> None:
        """Write a message that is serialised (CDR) already, as a raw subscription receives it."""
        if topic not in self._connections:
            qos = [LATCHED] if topic.endswith("tf_static") else []
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=TYPESTORE, offered_qos_profiles=qos
            )
        self._writer.write(self._connections[topic], stamp, data)

    def write(self, topic: str, message: Any, stamp: int) -> None:
        """Write a message made by `new_message`."""
        kind = message.__msgtype__
        self.write_serialized(topic, kind, bytes(TYPESTORE.serialize_cdr(message, kind)), stamp)

    def write_compressed(self, topic: str, data: bytes, codec: str, stamp: int, frame_id: str) -> None:
        """Write the bytes of a picture file as they are; `codec` is jpeg or png."""
        message = new_message(
            "sensor_msgs/msg/CompressedImage",
            header=new_header(stamp, frame_id), format=codec, data=np.frombuffer(data, np.uint8),
        )  # fmt: skip
        self.write(topic, message, stamp)

    def write_picture(
        self, topic: str, picture: np.ndarray, stamp: int, frame_id: str, codec: str = "jpeg"
    ) -> None:
        """Write RGB ``(H, W, 3)`` uint8, or a mask or depth ``(H, W)`` bool, uint8, uint16; compressed."""
        if picture.ndim == 3:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        elif picture.dtype == np.bool_:
            picture = picture.astype(np.uint8) * 255
        options = [cv2.IMWRITE_JPEG_QUALITY, 95] if codec == "jpeg" else []
        data = cv2.imencode(".jpg" if codec == "jpeg" else ".png", picture, options)[1].tobytes()
        self.write_compressed(topic, data, codec, stamp, frame_id)

    def write_camera_info(self, topic: str, camera: Camera, stamp: int, frame_id: str) -> None:
        """Write the intrinsics of a camera without distortion."""
        projection = np.hstack([camera.matrix, np.zeros((3, 1))])
        region = new_message(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        message = new_message(
            "sensor_msgs/msg/CameraInfo",
            header=new_header(stamp, frame_id), height=camera.height, width=camera.width,
            distortion_model="plumb_bob", d=np.zeros(5), k=camera.matrix.ravel(), r=np.eye(3).ravel(),
            p=projection.ravel(), binning_x=0, binning_y=0, roi=region,
        )  # fmt: skip
        self.write(topic, message, stamp)

    def write_transform(
        self, topic: str, parent: str, child: str, parent_from_child: np.ndarray, stamp: int
    ) -> None:
        """Write one rigid transform ``(4, 4)`` as TF: the pose of `child` in `parent`."""
        quaternion = quaternion_from_rotation(
            torch.as_tensor(parent_from_child[:3, :3], dtype=torch.float64)
        )
        w, x, y, z = quaternion.tolist()
        shift = dict(zip("xyz", parent_from_child[:3, 3].tolist(), strict=True))
        transform = new_message(
            "geometry_msgs/msg/Transform",
            translation=new_message("geometry_msgs/msg/Vector3", **shift),
            rotation=new_message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
        )
        stamped = new_message(
            "geometry_msgs/msg/TransformStamped",
            header=new_header(stamp, parent), child_frame_id=child, transform=transform,
        )  # fmt: skip
        self.write(topic, new_message("tf2_msgs/msg/TFMessage", transforms=[stamped]), stamp)

    def write_joint(self, topic: str, joint: str, position: float, stamp: int) -> None:
        """Write one joint's position, radians."""
        empty = np.zeros(0)
        message = new_message(
            "sensor_msgs/msg/JointState",
            header=new_header(stamp, ""), name=[joint], position=np.array([float(position)]),
            velocity=empty, effort=empty,
        )  # fmt: skip
        self.write(topic, message, stamp)


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: it was recorded from.
        kind: its type, such as ``sensor_msgs/msg/Image``.
        stamp: of its header where it has one (else of its recording), nanoseconds.
        content: the message, fields as in its definition, arrays as numpy.
    """

    topic: str
    kind: str
    stamp: int
    content: Any


def read_topics(folder: Path) -> dict[str, str]:
    """Topic to message type of everything that a bag holds at least one message of.

    Raises:
        SurfposeError: empty, truncated or unreadable bag.
    """
    with _open_bag(folder) as reader:
        return {
            connection.topic: connection.msgtype for connection in reader.connections if connection.msgcount
        }


def read_messages(folder: Path, topics: list[str]) -> Iterator[BagMessage]:
    """Yield the messages of some topics in the order of their recording.

    Raises:
        SurfposeError: empty, truncated or unreadable bag, or a message of a broken one.
    """
    with _open_bag(folder) as reader:
        wanted = [connection for connection in reader.connections if connection.topic in topics]
        if not wanted:  # which rosbags would take for all
            return
        try:
            missing = sum(connection.msgcount for connection in wanted)
            for connection, recorded, data in reader.messages(wanted):
                content: Any = TYPESTORE.deserialize_cdr(data, connection.msgtype)
                yield BagMessage(connection.topic, connection.msgtype, _stamp(content, recorded), content)
                missing -= 1
        except Exception as error:  # a damaged bag trips the parser anywhere
            raise _broken(folder, error) from error
        if missing > 0:
            raise _broken(folder, ValueError(f"{missing} messages that metadata.yaml counts are not there"))


def _stamp(content: Any, recorded: int) -> int:
    header = getattr(content, "header", None)
    return recorded if header is None else int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _broken(folder: Path, error: Exception) -> SurfposeError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return SurfposeError(
        f"{folder}: the bag is damaged or was cut off ({reason.rstrip('.')}); restore it with "
        f"'mcap recover' and 'ros2 bag reindex {folder}', or record it again"
    )


def _open_bag(folder: Path) -> Reader:
    if not folder.is_dir():
        raise SurfposeError(f"{folder}: no such bag folder")
    from surfpose_ros.video.recorder import finish_interrupted, is_interrupted  # imports this module

    if is_interrupted(folder):
        finish_interrupted(folder)
    if not (folder / "metadata.yaml").exists():
        raise SurfposeError(
            f"{folder}: no bag in it (metadata.yaml is missing); if recording was interrupted, run "
            f"'ros2 bag reindex {folder}'"
        )
    reader = Reader(folder)
    try:
        reader.open()
        count = reader.message_count
    except Exception as error:  # rosbags, YAML and struct errors alike
        raise _broken(folder, error) from error
    reader.close()
    if not count:
        raise SurfposeError(f"{folder}: the bag is empty; check the topic names and record it again")
    return Reader(folder)
