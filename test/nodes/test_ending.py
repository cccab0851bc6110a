"""A node that is told to stop leaves nothing behind."""

import os
import re
import signal
from pathlib import Path

import pytest


def segments(pid: int) -> set[Path]:
    """Fast DDS's shared memory that a process has in hand, without the ports."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return {Path(path) for path in re.findall(r"/dev/shm/fastdds_[0-9a-f]{16}\b", maps)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pose_node_leaves_no_shared_memory_behind(talker, start, untrained_model, number):
    tester = segments(os.getpid())
    node = start("pose_node", models=[str(untrained_model())])
    talker.until(talker.says("pose_node: poses", ""), "pose_node at work")
    held = segments(node.pid)
    node.send_signal(number)
    assert node.wait(60) == 0
    assert held - tester
    assert [path for path in held - tester if path.exists()] == []
