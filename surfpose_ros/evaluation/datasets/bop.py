"""Data sets in the BOP format, scene by scene (Hodan et al., ECCV 2018; `bop_datasets_format.md`).

Lengths in the files are millimetres. The models' z points up; which way they face, the format does not say.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.files import check_rotation, require
from surfpose_ros.evaluation.metrics import Array
from surfpose_ros.evaluation.samples import PoseSample, visible_band
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry

SOURCE = "https://bop.felk.cvut.cz/datasets"
_MILLIMETRE = 1e-3


@dataclass(frozen=True)
class BopModel:
    """What `models_info.json` says of one object.

    Attributes:
        size: of its bounding box, metres, ``(3,)``.
        centre: of its bounding box in the model's frame, metres, ``(3,)``.
        symmetry: of the model; turns about one axis only, the first listed.
    """

    size: Array
    centre: Array
    symmetry: Symmetry


def read_bop(
    root: Path, split: str = "test", objects: dict[int, str] | None = None, min_visible: float = 0.1
) -> list[PoseSample]:
    """All labelled objects of a split.

    Args:
        root: the data set's folder, with `models_info.json` in `models`.
        split: folder of scenes, such as test or test_primesense.
        objects: category of each object to read, by its id; None reads all as `obj_000001`.
        min_visible: least visible share of an object (`visib_fract`) where the data set tells it.

    Raises:
        SurfposeError: a part of the data set is missing or damaged.
    """
    models = read_models(root)
    scenes = sorted(require(root / split, f"the {split} images", SOURCE).iterdir())
    samples: list[PoseSample] = []
    for scene in (scene for scene in scenes if scene.is_dir()):
        samples += _scene(scene, models, objects, min_visible)
    if not samples:
        raise SurfposeError(f"{root / split}: no labelled object that was asked for")
    return samples


def read_models(root: Path) -> dict[int, BopModel]:
    """Sizes and symmetries of the objects, by id.

    Raises:
        SurfposeError: no `models_info.json`, or a damaged one.
    """
    path = require(root / "models" / "models_info.json", "the description of the models", SOURCE)
    try:
        return {int(key): _model(entry) for key, entry in _json(path).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise SurfposeError(f"{path}: lacks a field ({error}); get it again from {SOURCE}") from error


def _scene(
    scene: Path, models: dict[int, BopModel], objects: dict[int, str] | None, min_visible: float
) -> list[PoseSample]:
    cameras = _json(require(scene / "scene_camera.json", "the cameras of a scene", SOURCE))
    truths = _json(
        require(scene / "scene_gt.json", "the poses of a scene (hidden ones are unpublished)", SOURCE)
    )
    info_path = scene / "scene_gt_info.json"
    infos = _json(info_path) if info_path.exists() else {}
    samples = []
    for image_id, entries in truths.items():
        image = _image(scene, int(image_id))
        if image_id not in cameras:
            raise SurfposeError(f"{scene}/scene_camera.json: no camera for image {image_id}")
        for index, entry in enumerate(entries):
            number = int(entry["obj_id"])
            info = infos.get(image_id, [{}] * len(entries))[index]
            wanted = objects is None or number in objects
            if not wanted or info.get("visib_fract", 1.0) < min_visible:
                continue
            category = objects[number] if objects else f"obj_{number:06d}"
            name = f"{scene.name}/{image_id}#{index}"
            samples.append(_sample(name, image, category, entry, cameras[image_id], info, models[number]))
    return samples


def _sample(
    name: str,
    image: Path,
    category: str,
    entry: dict[str, Any],
    camera: dict[str, Any],
    info: dict[str, Any],
    model: BopModel,
) -> PoseSample:
    rotation = check_rotation(np.reshape(entry["cam_R_m2c"], (3, 3)), name)
    translation = np.asarray(entry["cam_t_m2c"], np.float64) * _MILLIMETRE + rotation @ model.centre
    visible = info.get("visib_fract")
    box = info.get("bbox_visib") or info.get("bbox_obj")
    return PoseSample(
        name=name,
        path=image,
        rotation=rotation,
        category=category,
        translation=translation,
        matrix=np.reshape(np.asarray(camera["cam_K"], np.float64), (3, 3)),
        box=None if box is None else (box[0] - 0.5, box[1] - 0.5, box[2], box[3]),
        size=model.size,
        group=f"obj_{entry['obj_id']}",
        occlusion="" if visible is None else visible_band(visible),
    )


def _model(entry: dict[str, Any]) -> BopModel:
    size = np.array([entry[f"size_{axis}"] for axis in "xyz"], np.float64) * _MILLIMETRE
    low = np.array([entry[f"min_{axis}"] for axis in "xyz"], np.float64) * _MILLIMETRE
    symmetry = Symmetry()
    if entry.get("symmetries_continuous"):
        x, y, z = entry["symmetries_continuous"][0]["axis"]
        symmetry = Symmetry(CONTINUOUS, (float(x), float(y), float(z)))
    elif entry.get("symmetries_discrete"):
        turn = np.reshape(np.asarray(entry["symmetries_discrete"][0], np.float64), (4, 4))[:3, :3]
        symmetry = _discrete(turn, len(entry["symmetries_discrete"]) + 1)
    return BopModel(size, low + size / 2, symmetry)


def _discrete(turn: Array, order: int) -> Symmetry:
    """Turns of 360/order degrees about the axis of one of them: the eigenvector that stays."""
    values, vectors = np.linalg.eig(turn)
    x, y, z = vectors[:, np.argmin(np.abs(values - 1))].real
    return Symmetry(order, (float(x), float(y), float(z)))


def _image(scene: Path, image_id: int) -> Path:
    for folder in ("rgb", "gray"):
        for suffix in (".png", ".jpg", ".tif"):
            path = scene / folder / f"{image_id:06d}{suffix}"
            if path.is_file():
                return path
    raise SurfposeError(f"{scene}/scene_gt.json: labels image {image_id}, which is not in rgb or gray")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SurfposeError(f"{path}: cannot be read ({error}); unpack it again") from error
    if not isinstance(content, dict):
        raise SurfposeError(f"{path}: not a mapping; get it again from {SOURCE}")
    return content
