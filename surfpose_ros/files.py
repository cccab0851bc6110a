"""Files that are either whole or absent: written aside and renamed; versioned JSON and YAML; safe paths."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from surfpose_ros.errors import SurfposeError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s place when the block ends well.

    The temporary name keeps the suffix, for writers that choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for child in temporary.rglob("*"):  # some libraries write files that only their owner may read
            child.chmod((0o777 if child.is_dir() else 0o666) & ~_umask())
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.replace(old)
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    return read_versioned(path, yaml.safe_load, kind=kind, version=version)


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
