"""Files that are either whole or absent: written aside and renamed; versioned JSON and YAML; safe paths."""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import yaml

from surfpose_ros.errors import SurfposeError

_LIBC = ctypes.CDLL(None, use_errno=True)
PART = ".part-"  # in the names of what is not finished
HOUR = 3600.0
MOST_NODES = 5_000_000  # of a YAML file, every reference written out


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s place when the block ends well.

    The temporary name keeps the suffix, for writers that choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}{PART}", suffix=path.suffix)
    except OSError as error:
        raise _named(error, path) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` in one step when the block ends well."""
    path = path.resolve()  # a link stays and its target is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{PART}"))
    except OSError as error:
        raise _named(error, path) from None
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for child in temporary.rglob("*"):  # some libraries write files that only their owner may read
            child.chmod((0o777 if child.is_dir() else 0o666) & ~_umask())
        _put(temporary, path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _named(error: OSError, path: Path) -> OSError:
    """The error with the name that a person knows: a full disk comes without, others with the temporary."""
    if error.filename is None or PART in str(error.filename):
        error.filename, error.filename2 = str(path), None
    return error


def _put(new: Path, path: Path) -> None:
    """Rename a folder to `path`; an older one there takes the name of the new one."""
    while True:
        try:
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        try:
            _exchange(new, path)
            return
        except FileNotFoundError:  # another process has just taken the old one away
            continue


def _exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders, so that at every instant both are there (renameat2 of Linux)."""
    at_fdcwd, exchange = -100, 2
    if _LIBC.renameat2(at_fdcwd, os.fsencode(one), at_fdcwd, os.fsencode(other), exchange) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise OSError(number, os.strerror(number), str(other))
    with tempfile.TemporaryDirectory(dir=one.parent, prefix=f".{other.name}{PART}") as aside:
        other.rename(Path(aside) / "old")  # a file system that cannot: for an instant there is none
        one.rename(other)


def remove_leftovers(folder: Path, older_than: float = HOUR) -> None:
    """Delete what killed processes left half-written in a folder, if it is so many seconds old."""
    for path in folder.glob(f".*{PART}*"):
        try:
            if time.time() - path.stat().st_mtime < older_than:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:  # another process was quicker, or may and we may not
            continue


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the same block for a folder, which is made if it is missing.

    The lock ends with the process, however that ends. A file system without locks is worked on unlocked.

    Raises:
        SurfposeError: another process is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        take_lock(handle)
    except BlockingIOError:
        os.close(handle)
        raise SurfposeError(
            f"{folder}: another process is at work there; wait for it, or name another folder"
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def take_lock(file: int | IO[bytes]) -> None:
    """Keep a file or folder from every other process that asks, until it is closed or this process ends.

    Raises:
        BlockingIOError: another process has it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        pass


@cache
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` atomically, keys in the order given, so that equal results are equal files."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write `content` atomically as plain YAML, keys in the order given."""
    with atomic_file(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read a versioned JSON file; see `read_versioned` for the errors."""
    return read_versioned(path, json.loads, kind=kind, version=version)


def read_yaml(path: Path, *, kind: str, version: int) -> dict[str, Any]:
    """Read a versioned YAML file with `safe_load`; see `read_versioned` for the errors."""
    return read_versioned(path, _parse_yaml, kind=kind, version=version)


def _parse_yaml(text: str) -> Any:
    """Plain YAML; references that would grow it beyond measure when written out are refused."""
    content = yaml.safe_load(text)
    open_nodes, count = [content], 0
    while open_nodes and count <= MOST_NODES:
        node, count = open_nodes.pop(), count + 1
        open_nodes += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if count > MOST_NODES:
        raise ValueError("its references (*) go in a circle or multiply")
    return content


def read_versioned(path: Path, parse: Callable[[str], Any], *, kind: str, version: int) -> dict[str, Any]:
    """Read a file whose top level is a mapping with `format_version`.

    Raises:
        SurfposeError: missing, unreadable, not of this `kind`, or of an unknown version.
    """
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SurfposeError(f"{path}: no such file; it should be the {kind}") from None
    except Exception as error:  # PyYAML raises IndexError, AttributeError, RecursionError, ... too
        reason = " ".join(str(error).split())
        raise SurfposeError(f"{path}: cannot be read as the {kind} ({reason})") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise SurfposeError(f"{path}: not a {kind} (it has no format_version)")
    if content["format_version"] != version:
        raise SurfposeError(
            f"{path}: {kind} of format version {content['format_version']!r}, and this surfpose_ros "
            f"reads version {version}: update the package or make the file again"
        )
    return content


def inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`, for names that came out of a file.

    Raises:
        SurfposeError: the name leads out of the folder.

    Example:
        >>> inside(Path("/data"), "a/b.jpg").as_posix()
        '/data/a/b.jpg'
    """
    try:
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()):
            return path
    except (TypeError, ValueError, RuntimeError, OSError):  # no string, a null character, a loop of links
        pass
    raise SurfposeError(f"{name!r} leads out of the folder {folder}; names must stay inside it")
