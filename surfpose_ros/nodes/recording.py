"""A recording under way: a queue, a thread that empties it into the file, and one that syncs the file."""

import queue
import shutil
import threading
import time
from pathlib import Path

from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.diagnostics import Level, Status
from surfpose_ros.nodes.raw_topics import RawMessage
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.recorder import CaptureRecorder, can_record

FLUSH_S = 0.5
SYNC_S = 0.25
LAST_MIB = 64  # recording ends while there is still this much space: a bag needs some to be finished


class Recording:
    """Takes messages without ever waiting; what the disk is too slow for is counted as lost.

    Attributes:
        folder: of the capture.
        lost: messages that found the queue full.
        failed: why writing ended early, "" if it did not.
        unknown: topics left out because the definition of their type is not known.
    """

    def __init__(self, folder: Path, info: CaptureInfo, buffer_bytes: int, min_free_gib: float) -> None:
        """Open the capture.

        Raises:
            SurfposeError: the folder exists, cannot be made, or its disk is nearly full.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free / 2**30
        if free < min_free_gib:
            raise SurfposeError(
                f"{folder.parent}: only {free:.1f} GiB are free and min_free_gib is {min_free_gib:g}; "
                "make space or record elsewhere (output_dir)"
            )
        self.folder = folder
        self.lost = 0
        self.failed = ""
        self.unknown: set[str] = set()
        self._recorder = CaptureRecorder(folder, info)
        self._limit = buffer_bytes
        self._taken = 0  # bytes; written by the caller's thread only, and
        self._written = 0  # by the writing thread only
        self._counts: dict[str, int] = {}
        self._queue: queue.SimpleQueue[RawMessage | None] = queue.SimpleQueue()
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("recording", self._write_all), ("disk", self._sync_all))
        ]
        for thread in self._threads:
            thread.start()

    def put(self, message: RawMessage) -> None:
        """Take in one message."""
        if not can_record(message.type_name):
            self.unknown.add(message.topic)
            return
        if self.failed or self._taken - self._written > self._limit:
            self.lost += 1
            return
        self._taken += len(message.data)
        self._counts[message.topic] = self._counts.get(message.topic, 0) + 1
        self._queue.put(message)

    def stop(self) -> str:
        """Write what waits, finish the bag, and say how it went."""
        self._finish()
        count = self._recorder.close()
        trouble = f"; {self.lost} LOST" if self.lost else ""
        trouble += f"; {self.failed}" if self.failed else ""
        return f"{self.folder}: {count} messages, {self._recorder.size / 2**20:.0f} MiB{trouble}"

    def discard(self) -> None:
        """Stop and delete."""
        self._finish()
        self._recorder.discard()

    def status(self) -> Status:
        """For /diagnostics."""
        values = {
            "capture": str(self.folder),
            "seconds": time.monotonic() - self._began,
            "MiB": self._recorder.size / 2**20,
            "MiB waiting for the disk": (self._taken - self._written) / 2**20,
            "messages lost": self.lost,
            **self._counts,
        }
        if self.failed:
            return Status("recording", Level.ERROR, self.failed, values)
        if self.lost:
            message = (
                "the disk is too slow: messages are lost; record compressed images or to a faster disk"
            )
            return Status("recording", Level.ERROR, message, values)
        if self.unknown:
            message = f"left out, for their types are not known here: {', '.join(sorted(self.unknown))}"
            return Status("recording", Level.WARN, message, values)
        return Status("recording", Level.OK, f"recording {self.folder.name}", values)

    def _finish(self) -> None:
        self._queue.put(None)
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _sync_all(self) -> None:
        try:
            while not self._ended.wait(SYNC_S):
                self._recorder.sync()
        except SurfposeError as error:
            self.failed = str(error)

    def _write_all(self) -> None:
        flushed = time.monotonic()
        try:
            while True:
                try:
                    message = self._queue.get(timeout=FLUSH_S)
                except queue.Empty:
                    message = False
                if message is None:
                    return
                if message:
                    self._recorder.write(message.topic, message.type_name, message.data, message.arrived)
                    self._written += len(message.data)
                if time.monotonic() - flushed > FLUSH_S:
                    self._recorder.flush()
                    flushed = time.monotonic()
                    self._check_space()
        except SurfposeError as error:
            self.failed = str(error)

    def _check_space(self) -> None:
        if shutil.disk_usage(self.folder).free < LAST_MIB * 2**20:
            raise SurfposeError(f"{self.folder}: recording ended, under {LAST_MIB} MiB of disk are left")


def free_folder(output: Path, category: str, name: str) -> Path:
    """The folder of a capture of that name, or of the category's next number."""
    if name:
        return output / name
    number = 1
    while (output / f"{category}_{number:02d}").exists():
        number += 1
    return output / f"{category}_{number:02d}"
