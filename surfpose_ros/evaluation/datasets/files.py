"""What the readers share: parts that must be there, and containers that hold plain data only."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import inside


def require(path: Path, what: str, source: str) -> Path:
    """`path`, if it exists.

    Raises:
        SurfposeError: names the missing part and where the data set is to be had.
    """
    if not path.exists():
        raise SurfposeError(f"{path}: {what} is missing; get it from {source}")
    return path


def labelled_image(root: Path, name: str, label: Path) -> Path:
    """The image that a label names.

    Raises:
        SurfposeError: the image is not there, or lies outside the data set.
    """
    path = inside(root, name)
    if not path.is_file():
        raise SurfposeError(f"{label}: labels {path}, which is not there; unpack the images too")
    return path


def check_rotation(rotation: np.ndarray, where: str) -> np.ndarray:
    """A ``(3, 3)`` rotation as float64.

    Raises:
        SurfposeError: not finite, or no rotation.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    unit = rotation.shape == (3, 3) and np.isfinite(rotation).all()
    if not unit or np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise SurfposeError(
            f"{where}: the rotation is none (NaN, not orthonormal or mirrored); mend the label"
        )
    return rotation


def check_unique(names: list[str], where: str) -> None:
    """Refuse a name that is listed twice.

    Raises:
        SurfposeError: says which.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SurfposeError(f"{where}: {name} is listed twice; keep one")
        seen.add(name)


# Found by what NumPy itself writes, since its modules have moved between versions.
_ARRAY, _SCALAR = np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]
_PLAIN: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
for _core in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _PLAIN[_core, "_reconstruct"], _PLAIN[_core, "scalar"] = _ARRAY, _SCALAR


class _PlainUnpickler(pickle.Unpickler):
    """Rebuilds containers, strings, numbers and NumPy arrays, and can call nothing else.

    A pickle runs code through the names that it looks up; here every name outside this list is refused.
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _PLAIN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data") from None


def load_plain_pickle(data: bytes, where: str) -> Any:
    """The content of a pickle of plain data, as some data sets publish their labels; runs no code.

    Raises:
        SurfposeError: anything but containers, strings, numbers and arrays of numbers, or damaged.
    """
    try:
        return _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError) as error:
        raise SurfposeError(f"{where}: not a label file that can be read safely ({error})") from error


def load_plain_npz(path: Path, key: str) -> Any:
    """One entry of an .npz whose objects are plain data; see `load_plain_pickle`.

    Raises:
        SurfposeError: as `load_plain_pickle`, or no such entry.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read_header(file)
            data = file.read()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise SurfposeError(f"{path}: no .npz with an entry {key!r} ({error})") from error
    if not dtype.hasobject:
        raise SurfposeError(f"{path}: {key!r} is not a list of labels")
    return load_plain_pickle(data, str(path))
