"""Labels CSV: one row an image, its rotation camera_from_object and what else is known of it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import inside
from surfpose_ros.geometry.rotations import rotation_from_quaternion

ROTATION = ("qw", "qx", "qy", "qz")
TRANSLATION = ("tx", "ty", "tz")
INTRINSICS = ("fx", "fy", "cx", "cy")
BOX = ("x", "y", "w", "h")
SIZE = ("sx", "sy", "sz")


@dataclass(frozen=True)
class LabelRow:
    """One labelled image.

    Attributes:
        image: as written in the CSV: relative to the CSV's root folder.
        path: of the image file.
        rotation: camera_from_object, ``(3, 3)`` float64.
        category: "" if the CSV does not say.
        video: "" if the CSV does not say.
        mask: path of the mask picture, if any.
        box: x, y, width, height in pixels, if any.
        intrinsics: fx, fy, cx, cy in pixels, if known.
        translation: of the object in the camera frame, ``(3,)`` float64, if known.
        size: of the object along its axes, metres, ``(3,)`` float64, if known.
        visible: share of the object's picture that nothing hides, if known.
        depth: path of a depth picture, 16-bit millimetres along the optical axis, if any.
    """

    image: str
    path: Path
    rotation: np.ndarray
    category: str = ""
    video: str = ""
    mask: Path | None = None
    box: tuple[float, ...] | None = None
    intrinsics: tuple[float, ...] | None = None
    translation: np.ndarray | None = None
    size: np.ndarray | None = None
    visible: float | None = None
    depth: Path | None = None


def read_labels(csv_path: Path, root: Path) -> list[LabelRow]:
    """Read a labels CSV; `root` is the folder that its image names are relative to.

    Columns: `image, qw, qx, qy, qz` (camera_from_object; object frame x front, y left, z up; camera
    frame x right, y down, z forward), optionally `category, video, mask, x, y, w, h` (box),
    `fx, fy, cx, cy`, `tx, ty, tz`, `sx, sy, sz` (size), `visible` (share) and `depth` (picture). Others are
    ignored.

    Raises:
        SurfposeError: unreadable, another delimiter than the comma, a missing column, a number that is
            none, a quaternion that is not of unit length, an image listed twice or not there.
    """
    if not root.is_dir():
        raise SurfposeError(f"{root}: no such folder; --root is what the CSV's image names are relative to")
    table = _read_table(csv_path)
    rows: list[LabelRow] = []
    first_line: dict[str, int] = {}
    for line, cells in enumerate(table, start=2):
        where = f"{csv_path}:{line}"
        row = _parse_row(cells, root, where)
        if row.image in first_line:
            raise SurfposeError(
                f"{where}: {row.image} is on line {first_line[row.image]} already; keep one row an image"
            )
        first_line[row.image] = line
        rows.append(row)
    if not rows:
        raise SurfposeError(f"{csv_path}: has a header but no rows")
    return rows


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns: Sequence[str] = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            _check_columns(path, columns)
            return list(reader)
    except FileNotFoundError:
        raise SurfposeError(f"{path}: no such labels CSV") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SurfposeError(f"{path}: cannot be read as a CSV in UTF-8 ({error})") from error


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if not columns:
        raise SurfposeError(f"{path}: empty; the first line must name the columns: image,qw,qx,qy,qz")
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        raise SurfposeError(
            f"{path}: columns are not separated by commas; save it as a comma-separated CSV"
        )
    repeated = {name for name in columns if columns.count(name) > 1}
    if repeated:
        raise SurfposeError(f"{path}: column {min(repeated)!r} is there twice")
    missing = [name for name in ("image", *ROTATION) if name not in columns]
    if missing:
        raise SurfposeError(
            f"{path}: column {missing[0]!r} is missing; a labels CSV needs image,qw,qx,qy,qz (found: "
            f"{', '.join(columns)})"
        )


def _parse_row(cells: dict[str, str], root: Path, where: str) -> LabelRow:
    if None in cells or None in cells.values():
        raise SurfposeError(f"{where}: another number of cells than the header has columns")
    image = cells["image"].strip()
    if not image:
        raise SurfposeError(f"{where}: the image cell is empty")
    numbers = _numbers(cells, ROTATION, where)
    if numbers is None:
        raise SurfposeError(f"{where}: {image} has no rotation (qw,qx,qy,qz); fill it in or drop the row")
    length = float(np.linalg.norm(numbers))
    if abs(length - 1) > 0.01:
        raise SurfposeError(
            f"{where}: (qw,qx,qy,qz) of {image} is no rotation: its length is {length:.3f}, not 1"
        )
    intrinsics = _numbers(cells, INTRINSICS, where)
    if intrinsics is not None and min(intrinsics[:2]) <= 0:
        raise SurfposeError(f"{where}: focal lengths of {image} must be positive pixels")
    translation = _numbers(cells, TRANSLATION, where)
    if translation is not None and translation[2] <= 0:
        raise SurfposeError(
            f"{where}: tz of {image} is {translation[2]:g}: the object is not in front of the camera"
        )
    size = _numbers(cells, SIZE, where)
    visible = _numbers(cells, ("visible",), where)
    mask, depth = ((cells.get(name) or "").strip() for name in ("mask", "depth"))
    return LabelRow(
        image=image,
        path=_existing(root, image, where),
        rotation=rotation_from_quaternion(torch.tensor(numbers, dtype=torch.float64)).numpy(),
        category=(cells.get("category") or "").strip(),
        video=(cells.get("video") or "").strip(),
        mask=_existing(root, mask, where) if mask else None,
        box=_numbers(cells, BOX, where),
        intrinsics=intrinsics,
        translation=None if translation is None else np.array(translation),
        size=None if size is None else np.array(size),
        visible=None if visible is None else visible[0],
        depth=_existing(root, depth, where) if depth else None,
    )


def _numbers(cells: dict[str, str], names: tuple[str, ...], where: str) -> tuple[float, ...] | None:
    """The cells as numbers; None where the columns are missing or all cells are empty."""
    texts = [(cells.get(name) or "").strip() for name in names]
    if not any(texts):
        return None
    values = []
    for name, text in zip(names, texts, strict=True):
        try:
            value = float(text)
        except ValueError:
            raise SurfposeError(f"{where}: {name} is {text!r}, not a number") from None
        if not np.isfinite(value):
            raise SurfposeError(f"{where}: {name} is {text}, not a finite number")
        values.append(value)
    return tuple(values)


def _existing(root: Path, name: str, where: str) -> Path:
    path = inside(root, name)
    if not path.is_file():
        raise SurfposeError(
            f"{where}: {path} does not exist; is --root the folder that {name!r} is relative to?"
        )
    return path
