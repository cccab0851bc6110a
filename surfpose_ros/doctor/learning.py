"""Backbones and category models."""

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from surfpose_ros.backbones.dinov2 import WEIGHTS_VARIABLE, read_weights
from surfpose_ros.category.model import load_category_model
from surfpose_ros.doctor.check import Check
from surfpose_ros.errors import SurfposeError
from surfpose_ros.share import share_folder

REINSTALL = "install surfpose_ros again"


def check_backbones(weights: Path | None = None) -> list[Check]:
    """The embedded weights against their checksums, and the optional DINOv2.

    Args:
        weights: folder of weight files with their `SHA256SUMS`; the package's own if None.
    """
    weights = weights or Path(__file__).resolve().parents[1] / "backbones" / "weights"
    checks = []
    try:
        listing = (weights / "SHA256SUMS").read_text(encoding="ascii").split("\n")
    except OSError:
        found = f"{weights}/SHA256SUMS is not there"
        return [Check("embedded backbone", "problem", found, REINSTALL)]
    for line in filter(None, listing):
        expected, name = line.split()
        checks.append(_check_weights(weights / name, expected))
    return [*checks, _check_dinov2()]


def check_models(folders: Sequence[Path] = ()) -> list[Check]:
    """Load each model given, or where none is given each that ships with the package."""
    shipped = sorted(path.parent for path in (share_folder() / "models").glob("*/category.yaml"))
    if not folders and not shipped:
        found = "none given, and none ships with this installation"
        return [Check("category models", "warning", found, "learn one with surfpose retrain")]
    return [_check_model(folder) for folder in folders or shipped]


def _check_weights(path: Path, expected: str) -> Check:
    name = f"backbone {path.stem}"
    if not path.is_file():
        return Check(name, "problem", f"{path} is not there", REINSTALL)
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        return Check(name, "problem", f"{path} is damaged: its checksum differs", REINSTALL)
    return Check(name, "ok", f"embedded, {path.stat().st_size / 2**20:.1f} MiB, checksum right")


def _check_dinov2() -> Check:
    found = (
        f"optional: name a weight file in {WEIGHTS_VARIABLE}, or take it from the hub with "
        'pip install "surfpose_ros[dinov2]"'
    )
    if named := os.environ.get(WEIGHTS_VARIABLE):
        try:
            read_weights(Path(named))
        except SurfposeError as error:
            return Check("backbone dinov2_vits14", "problem", str(error), "name another file")
        found = f"weights in {named}"
    elif importlib.util.find_spec("huggingface_hub"):
        found = "huggingface_hub is there; the weights come from the hub"
    return Check("backbone dinov2_vits14", "ok", found)


def _check_model(folder: Path) -> Check:
    name = f"model {folder.name}"
    try:
        model = load_category_model(folder)
    except SurfposeError as error:
        remedy = "copy the folder anew, or learn it again with surfpose retrain"
        return Check(name, "problem", str(error), remedy)
    size = f"{model.size_m:.2f} m" if model.size_m else "size unknown"
    found = f"{model.name}: {model.info.backbone}, {size}, {len(model.info.captures)} training captures"
    return Check(name, "ok", found)
