"""What Fast DDS leaves in /dev/shm: each process has a segment there, and a killed one cannot take it away.

A segment is as large as the profile says, 64 MiB with ours, and Fast DDS itself never cleans up.
"""

import fcntl
from pathlib import Path

LOCK = "_el"  # ends the name of the file that the segment's process holds a lock on


def dead_segments(folder: Path = Path("/dev/shm")) -> list[Path]:
    """Segments of processes that have ended, as `fastdds shm clean` finds them: nobody holds their lock."""
    return [
        segment
        for lock in sorted(folder.glob(f"fastdds_*{LOCK}"))
        if (segment := lock.with_name(lock.name.removesuffix(LOCK))).exists() and not _is_held(lock)
    ]


def remove_dead_segments(folder: Path = Path("/dev/shm")) -> None:
    """Delete them with their locks."""
    for segment in dead_segments(folder):
        segment.unlink(missing_ok=True)
        segment.with_name(segment.name + LOCK).unlink(missing_ok=True)


def _is_held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, gone meanwhile, or another user's
        return True
    return False
