"""ROS nodes as child processes on a domain of their own, which nobody outside of the demo hears."""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from surfpose_ros.errors import SurfposeError
from surfpose_ros.share import share_folder

GRACE_S = 10.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextlib.contextmanager
def ros_environment() -> Iterator[dict[str, str]]:
    """Environment for nodes: this machine only, a ROS domain that no other demo uses meanwhile."""
    for domain in range(60, 102):  # beyond 101, DDS ports fall into Linux's ephemeral range
        path = Path(tempfile.gettempdir(), f"surfpose-ros-domain-{domain}.lock")
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield {
                **os.environ,
                "ROS_DOMAIN_ID": str(domain),
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
                "PYTHONUNBUFFERED": "1",
                "FASTDDS_DEFAULT_PROFILES_FILE": os.environ.get(
                    "FASTDDS_DEFAULT_PROFILES_FILE",
                    str(share_folder() / "config" / "fastdds_large_images.xml"),
                ),
            }
            return
    raise SurfposeError("all ROS domains from 60 to 101 are in use by other demos; wait for one to end")


def _end_with_parent() -> None:
    """Runs in the child: Linux asks it to stop when the demo is gone, even if that was killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class NodeProcess:
    """One node of this package in a process of its own; its log goes into a file.

    Use as a context manager: the node is asked to stop at the end.
    """

    def __init__(
        self,
        name: str,
        environment: dict[str, str],
        log: Path,
        remap: dict[str, str] | None = None,
        **parameters: Any,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--ros-args"]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}"]
        for key, value in (remap or {}).items():
            arguments += ["-r", f"{key}:={value}"]
        self._file = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"surfpose_ros.nodes.{name}", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._file,
            text=True,
            preexec_fn=_end_with_parent,
        )

    def __enter__(self) -> "NodeProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._file.close()

    def lines(self) -> Iterator[str]:
        """What the node says on standard output, line by line, until it ends.

        Raises:
            SurfposeError: it ended badly.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.rstrip("\n")
        if self.process.wait() != 0:
            raise SurfposeError(f"{self.name}: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return f"{text.splitlines()[-1] if text else 'ended without a word'} (log: {self.log})"
