"""What all tests share: hypothesis without deadlines (machines differ), the shared data, ROS domains."""

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from surfpose_ros.doctor.shared_memory import remove_dead_segments

settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the development data is not at {folder}")
    return folder


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain that no other test of this machine uses meanwhile, set for child processes too."""
    for domain in range(1, 102):  # beyond 101, DDS ports fall into Linux's ephemeral range
        with Path(tempfile.gettempdir(), f"surfpose-ros-domain-{domain}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
            monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            yield domain
            remove_dead_segments()  # of nodes that a test killed, 64 MiB each
            return
    pytest.fail("all ROS domains from 1 to 101 are in use on this machine")
