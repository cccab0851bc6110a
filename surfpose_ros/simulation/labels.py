"""Pictures with their truth, as a labels CSV: what `surfpose evaluate` and `surfpose import` read."""

import csv
from pathlib import Path

import cv2
import numpy as np
import torch

from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import quaternion_from_rotation
from surfpose_ros.simulation.sensor import in_millimetres

COLUMNS = (
    "image", "category", "video", "qw", "qx", "qy", "qz", "tx", "ty", "tz", "fx", "fy", "cx", "cy",
    "x", "y", "w", "h", "sx", "sy", "sz", "visible", "front_seen", "mask", "depth",
)  # fmt: skip


class LabelledImages:
    """Collects pictures below a folder; `write` makes its `labels.csv`.

    Columns beyond those of a labels CSV: `sx, sy, sz`, the object's size along its axes (metres), and
    `visible`, the share of its picture that nothing hides, and `front_seen`, the share of what is seen that
    belongs to the part that tells the front.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[dict[str, str]] = []

    def add(
        self,
        name: str,
        image: np.ndarray,
        mask: np.ndarray,
        camera: Camera,
        camera_from_object: np.ndarray,
        category: str,
        video: str = "",
        size: np.ndarray | None = None,
        visible: float = 1.0,
        front_seen: float = 1.0,
        box: tuple[int, int, int, int] | None = None,
        depth: np.ndarray | None = None,
    ) -> None:
        """Save one RGB picture, and beside it its mask and its depth (metres, 0 where there is none), if
        given; the box is the mask's unless given.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask_name = str(Path(name).with_suffix("")) + "_mask.png"
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        cv2.imwrite(str(self.folder / mask_name), mask.astype(np.uint8) * 255)
        quaternion = quaternion_from_rotation(torch.as_tensor(camera_from_object[:3, :3]))
        numbers = {
            **dict(zip(("qw", "qx", "qy", "qz"), quaternion.tolist(), strict=True)),
            **dict(zip(("tx", "ty", "tz"), camera_from_object[:3, 3].tolist(), strict=True)),
            "fx": camera.matrix[0, 0], "fy": camera.matrix[1, 1],
            "cx": camera.matrix[0, 2], "cy": camera.matrix[1, 2],
            **dict(zip("xywh", box or cv2.boundingRect(mask.astype(np.uint8)), strict=True)),
            "visible": visible, "front_seen": front_seen,
        }  # fmt: skip
        if size is not None:
            numbers.update(zip(("sx", "sy", "sz"), size.tolist(), strict=True))
        row = {column: f"{value:.9g}" for column, value in numbers.items()}
        named = {"image": name, "category": category, "video": video, "mask": mask_name}
        if depth is not None:
            named["depth"] = str(Path(name).with_suffix("")) + "_depth.png"
            cv2.imwrite(str(self.folder / named["depth"]), in_millimetres(depth))
        self._rows.append(row | named)

    def write(self) -> Path:
        """Write `labels.csv`, whole or not at all; returns its path."""
        path = self.folder / "labels.csv"
        with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        return path


def read_front_seen(path: Path) -> dict[str, float]:
    """The column `front_seen` of a `labels.csv` that was written here, by image."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["image"]: float(row["front_seen"]) for row in csv.DictReader(file)}
