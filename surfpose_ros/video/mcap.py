"""Appends messages to an MCAP file without chunks, as rosbag2's preset "fastwrite" does.

A file of records, each with its length, is readable up to the last whole one whenever writing stops, and
a 1080p image costs one copy where a chunking writer makes five. Format: https://mcap.dev/spec.
"""

import struct
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path

from surfpose_ros.files import take_lock

_MAGIC = b"\x89MCAP0\r\n"
_LIBRARY = "surfpose_ros"
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _STATISTICS, _DATA_END = 1, 2, 3, 4, 5, 0x0B, 0x0F


@dataclass
class Channel:
    """One topic of the file.

    Attributes:
        topic: name.
        kind: message type, such as ``sensor_msgs/msg/Image``.
        qos: offered QoS profiles, as YAML.
        count: its messages.
    """

    topic: str
    kind: str
    qos: str
    count: int = 0


@dataclass
class McapAppender:
    """An open file. `append` needs stamps (nanoseconds) that never go back; other methods any order.

    Attributes:
        channels: by id, from 1.
        start: smallest stamp, nanoseconds.
        end: largest stamp.
    """

    file: BufferedRandom
    channels: list[Channel] = field(default_factory=list)
    start: int = 0
    end: int = 0
    _definitions: dict[str, bytes] = field(default_factory=dict)  # of kinds, in the order of their ids
    _whole: int = 0  # the file is good up to here

    @classmethod
    def create(cls, path: Path) -> "McapAppender":
        """A new file; FileExistsError if there is one."""
        appender = cls(_locked(path.open("x+b")))
        appender.file.write(_MAGIC)
        appender._write(_HEADER, _string("ros2") + _string(_LIBRARY))
        return appender

    @classmethod
    def reopen(cls, path: Path) -> "McapAppender":
        """A file whose writing was interrupted, at the end of its last whole record.

        Raises:
            ValueError: the file does not begin as one of ours.
            BlockingIOError: it is being written.
        """
        appender = cls(_locked(path.open("r+b")))
        size = path.stat().st_size
        if not is_ours(path):
            appender.file.close()
            raise ValueError("not recorded by surfpose_ros; try `mcap recover`")
        appender._whole = appender.file.seek(len(_MAGIC))
        while appender._whole + 9 <= size:
            code, length = struct.unpack("<BQ", appender.file.read(9))
            if code in (_FOOTER, _DATA_END) or appender._whole + 9 + length > size:
                break
            appender._learn(code, appender.file.read(26 if code == _MESSAGE else length))
            appender._whole += 9 + length
            appender.file.seek(appender._whole)
        return appender

    def add_channel(self, topic: str, kind: str, definition: str, qos: str) -> int:
        """Announce a topic; returns the id for `append`."""
        if kind not in self._definitions:
            self._definitions[kind] = definition.encode()
            self._write(_SCHEMA, self._schema(kind))
        self.channels.append(Channel(topic, kind, qos))
        self._write(_CHANNEL, self._channel(len(self.channels)))
        return len(self.channels)

    def append(self, channel: int, stamp: int, data: bytes | memoryview) -> None:
        """Add a serialised message; OSError if the disk is full."""
        self._write(_MESSAGE, struct.pack("<HIQQ", channel, 0, stamp, stamp), data)
        self._count(channel, stamp)

    def flush(self) -> None:
        """Hand everything to the operating system; OSError if the disk is full."""
        self.file.flush()

    def close(self) -> None:
        """Write the summary and the footer after the last whole record."""
        self.file.seek(self._whole)
        self.file.truncate()
        self._write(_DATA_END, struct.pack("<I", 0))
        summary = self._whole
        for kind in self._definitions:
            self._write(_SCHEMA, self._schema(kind))
        for number in range(1, len(self.channels) + 1):
            self._write(_CHANNEL, self._channel(number))
        counts = b"".join(struct.pack("<HQ", i, c.count) for i, c in enumerate(self.channels, start=1))
        total = sum(channel.count for channel in self.channels)
        head = struct.pack("<QHIIIIQQ", total, len(self._definitions), len(self.channels), 0, 0, 0,
                           self.start, self.end)  # fmt: skip
        self._write(_STATISTICS, head + struct.pack("<I", len(counts)) + counts)
        self._write(_FOOTER, struct.pack("<QQI", summary, 0, 0))
        self.file.write(_MAGIC)
        self.file.close()

    def _write(self, code: int, content: bytes, data: bytes | memoryview = b"") -> None:
        length = len(content) + len(data)
        self.file.write(struct.pack("<BQ", code, length) + content)
        if data:
            self.file.write(data)
        self._whole = (self._whole or len(_MAGIC)) + 9 + length

    def _count(self, channel: int, stamp: int) -> None:
        self.channels[channel - 1].count += 1
        self.start = min(self.start, stamp) if self.start else stamp
        self.end = max(self.end, stamp)

    def _schema(self, kind: str) -> bytes:
        number = list(self._definitions).index(kind) + 1
        definition = self._definitions[kind]
        return struct.pack("<H", number) + _string(kind) + _string("ros2msg") + _string(definition)

    def _channel(self, number: int) -> bytes:
        channel = self.channels[number - 1]
        schema = list(self._definitions).index(channel.kind) + 1
        metadata = _string("offered_qos_profiles") + _string(channel.qos)
        head = struct.pack("<HH", number, schema) + _string(channel.topic) + _string("cdr")
        return head + struct.pack("<I", len(metadata)) + metadata

    def _learn(self, code: int, content: bytes) -> None:
        """Take in a record of a file that is reopened."""
        if code == _SCHEMA:
            kind, rest = _take_string(content[2:])
            _, rest = _take_string(rest)
            self._definitions[kind.decode()] = _take_string(rest)[0]
        elif code == _CHANNEL:
            schema = struct.unpack_from("<H", content, 2)[0]
            topic, rest = _take_string(content[4:])
            _, rest = _take_string(rest)
            _, metadata = _take_string(rest[4:])
            kind = list(self._definitions)[schema - 1]
            self.channels.append(Channel(topic.decode(), kind, _take_string(metadata)[0].decode()))
        elif code == _MESSAGE:
            channel, _, stamp = struct.unpack_from("<HIQ", content)
            self._count(channel, stamp)


def is_ours(path: Path) -> bool:
    """Whether a file begins as `McapAppender` begins one."""
    header = _string("ros2") + _string(_LIBRARY)
    with path.open("rb") as file:
        return file.read(len(_MAGIC) + 9 + len(header)).endswith(header)


def _locked(file: BufferedRandom) -> BufferedRandom:
    """The file, ours alone until it is closed or the process ends, however it does."""
    try:
        take_lock(file)
    except BlockingIOError:
        file.close()
        raise
    return file


def _string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(data)) + data


def _take_string(data: bytes) -> tuple[bytes, bytes]:
    """The string at the beginning, and what follows it."""
    length = struct.unpack_from("<I", data)[0]
    return data[4 : 4 + length], data[4 + length :]
