"""Records a capture message by message, so that a crash, a kill or a full disk costs the last second only.

The bag grows in its final folder and gets its metadata.yaml when it is finished; `finish_interrupted`
does that for one whose recorder died.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from rosbags.rosbag2.metadata import dump_qos_v9

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import write_yaml
from surfpose_ros.video.bag import LATCHED, TYPESTORE
from surfpose_ros.video.capture import CaptureInfo, write_info
from surfpose_ros.video.mcap import McapAppender, is_ours


class CaptureRecorder:
    """Writes serialised messages as they come; use it from one thread at a time, `sync` from a second.

    Attributes:
        folder: of the capture.
        count: messages written.
        size: bytes written.
    """

    def __init__(self, folder: Path, info: CaptureInfo) -> None:
        """Open the bag.

        Raises:
            SurfposeError: the folder exists already, or cannot be made.
        """
        self.folder = folder
        self.count = 0
        self.size = 0
        self._channels: dict[str, int] = {}
        try:
            folder.mkdir(parents=True)
            write_info(folder, info)
            self._file = McapAppender.create(folder / f"{folder.name}.mcap")
        except FileExistsError:
            raise SurfposeError(f"{folder}: exists already; delete it or choose another name") from None
        except OSError as error:
            raise SurfposeError(f"{folder}: cannot record there ({error.strerror})") from error

    def write(self, topic: str, kind: str, data: bytes, stamp: int) -> None:
        """Add one serialised message received at `stamp` nanoseconds.

        Raises:
            SurfposeError: the disk is full; what was written before is kept.
        """
        try:
            if topic not in self._channels:
                self._channels[topic] = self._add_channel(topic, kind)
            # Readers of a bag without an index want the stamps in order, whatever the clock does.
            self._file.append(self._channels[topic], max(stamp, self._file.end), data)
        except OSError as error:
            raise self._refused(error) from error
        self.count += 1
        self.size += len(data)

    def flush(self) -> None:
        """Bring everything to the disk; call it once a second.

        Raises:
            SurfposeError: the disk is full.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error

    def sync(self) -> None:
        """Wait until what was flushed is on the disk, and free the memory that it took.

        Left to itself, Linux gathers gigabytes and then stalls `write` for seconds. Call it some times a
        second, in a thread of its own, but not after `close` or `discard`.

        Raises:
            SurfposeError: the disk failed.
        """
        number = self._file.file.fileno()
        try:
            os.fdatasync(number)
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> int:
        """Finish the bag and return its number of messages; what a full disk refused is left out.

        Raises:
            SurfposeError: not even that is possible; `finish_interrupted` can do it later.
        """
        try:
            self._file.close()
            _write_metadata(self.folder, self._file)
        except OSError:
            self._drop_file()
            return finish_interrupted(self.folder)
        return self.count

    def discard(self) -> None:
        """Delete the recording."""
        self._drop_file()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drop_file(self) -> None:
        """Close the file even where its last bytes do not fit on the disk."""
        with suppress(OSError):
            self._file.file.close()

    def _add_channel(self, topic: str, kind: str) -> int:
        definition, _ = TYPESTORE.generate_msgdef(kind, ros_version=2)
        qos = dump_qos_v9([LATCHED] if topic.endswith("tf_static") else [])
        return self._file.add_channel(topic, kind, definition, yaml.safe_dump(qos).strip())

    def _refused(self, error: OSError) -> SurfposeError:
        return SurfposeError(f"{self.folder}: the disk refused the recording ({error.strerror})")


def can_record(kind: str) -> bool:
    """Whether the definition of a message type, such as ``sensor_msgs/msg/Image``, is known."""
    return kind in TYPESTORE.types


def is_interrupted(folder: Path) -> bool:
    """Whether a folder holds a recording of ours that was never finished: it has no metadata.yaml."""
    files = list(folder.glob("*.mcap"))
    return not (folder / "metadata.yaml").exists() and len(files) == 1 and is_ours(files[0])


def finish_interrupted(folder: Path) -> int:
    """Finish an interrupted recording in place; returns its number of messages.

    Raises:
        SurfposeError: not even the beginning of the file is there, or the disk is full.
    """
    path = next(folder.glob("*.mcap"), folder)
    try:
        appender = McapAppender.reopen(path)
        appender.close()
        _write_metadata(folder, appender)
    except BlockingIOError:
        raise SurfposeError(f"{folder}: is being recorded; stop the recording first") from None
    except (OSError, ValueError, IndexError) as error:
        raise SurfposeError(f"{path}: the interrupted recording cannot be finished ({error})") from error
    return sum(channel.count for channel in appender.channels)


def _write_metadata(folder: Path, appender: McapAppender) -> None:
    """metadata.yaml of rosbag2, version 9."""
    count = sum(channel.count for channel in appender.channels)

    def span() -> dict[str, Any]:  # a new one each time, or YAML would write references
        return {
            "starting_time": {"nanoseconds_since_epoch": appender.start},
            "duration": {"nanoseconds": appender.end - appender.start},
            "message_count": count,
        }

    topics = [
        {
            "topic_metadata": {
                "name": channel.topic,
                "type": channel.kind,
                "serialization_format": "cdr",
                "offered_qos_profiles": yaml.safe_load(channel.qos),
                "type_description_hash": TYPESTORE.hash_rihs01(channel.kind),
            },
            "message_count": channel.count,
        }
        for channel in appender.channels
    ]
    name = Path(appender.file.name).name
    content = {
        "version": 9,
        "storage_identifier": "mcap",
        **span(),
        "topics_with_message_count": topics,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [name],
        "files": [{"path": name, **span()}],
        "custom_data": None,
        "ros_distro": "rosbags",
    }
    write_yaml(folder / "metadata.yaml", {"rosbag2_bagfile_information": content})
