"""A category model: what training saves and the live node loads.

A folder of three files: `model.safetensors` (head, adapted part of the backbone, vertex and clutter
features), `template.ply`, and `category.yaml` (everything a person may want to read). The backbone's
frozen part is not saved: the model names the backbone and refuses one whose weights differ.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from surfpose_ros.backbones.registry import backbone_checksum, load_backbone
from surfpose_ros.category.network import CategoryNetwork, NetworkOutput, PyramidMemory
from surfpose_ros.category.template import Template
from surfpose_ros.checksum import checksum
from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import atomic_folder, read_yaml, write_yaml
from surfpose_ros.geometry.meshes import Mesh, load_ply, save_ply
from surfpose_ros.geometry.symmetry import Symmetry, symmetry_from_dict

FORMAT_VERSION = 3
WEIGHTS = "model.safetensors"
ATTEMPTS = 10  # at a folder that is being replaced
TEMPERATURE = 0.07  # of the vertex softmax in training (paper, section 4)


@dataclass(frozen=True)
class CategoryInfo:
    """What `category.yaml` holds.

    Attributes:
        name: of the category.
        backbone: its name, and
        backbone_sha256: the checksum of the weights it had before training.
        input_size: side of the network's square input in pixels.
        size_m: mean and standard deviation of the objects' bounding-box diagonal in metres; None where
            no training video was metric.
        extent_log_std: see `Template`.
        symmetry: rotations that leave the category unchanged.
        mirror: normal of the plane in which objects are their own mirror images; None where there is none.
        axes: where "up" and "front" of the canonical frame come from.
        captures: training videos and their ``canonical_from_video``, 4x4 row by row.
        calibration: weights of the logistic curve from evidence to probability; see `pose/score.py`.
        figures: accuracy as measured, with the command that did.
    """

    name: str
    backbone: str
    backbone_sha256: str
    input_size: int
    size_m: dict[str, float] | None
    extent_log_std: list[float]
    symmetry: Symmetry = field(default_factory=Symmetry)
    mirror: list[float] | None = None
    axes: dict[str, str] = field(default_factory=dict)
    captures: dict[str, list[list[float]]] = field(default_factory=dict)
    calibration: dict[str, float] = field(
        default_factory=lambda: {"offset": -3.0, "gain": 3.0, "chance": 0.5}
    )
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = list((self.size_m or {"mean": 1.0, "std": 0.0}).values())
        normal = [1.0, 0.0, 0.0] if self.mirror is None else self.mirror
        for number in [*self.extent_log_std, *self.calibration.values(), *sizes, *normal]:
            if not isinstance(number, float | int) or not math.isfinite(number):
                raise ValueError("extent_log_std, calibration, size_m and mirror must hold finite numbers")
        if len(normal) != 3 or abs(math.hypot(*normal) - 1) > 1e-3:
            raise ValueError("mirror must be a direction: three numbers, of length one")
        if not isinstance(self.input_size, int) or not 32 <= self.input_size <= 2048:
            raise ValueError("input_size must be a whole number from 32 to 2048")
        if len(self.extent_log_std) != 3 or set(self.calibration) != {"offset", "gain", "chance"}:
            raise ValueError("extent_log_std or calibration has other entries than it must")
        if self.size_m is not None and not self.size_m["mean"] > 0:
            raise ValueError("size_m's mean must be above zero")


@dataclass(frozen=True)
class CategoryModel:
    """Template, network and learnt features of one category.

    Attributes:
        info: names, statistics and figures.
        template: mean shape in the canonical frame.
        network: images to features and boxes.
        vertex_features: unit, ``(V, D)``.
        clutter_features: unit, ``(K, D)``.
    """

    info: CategoryInfo
    template: Template
    network: CategoryNetwork
    vertex_features: Tensor
    clutter_features: Tensor

    @property
    def name(self) -> str:
        """Of the category."""
        return self.info.name

    @property
    def symmetry(self) -> Symmetry:
        """Rotations that leave the category unchanged."""
        return self.info.symmetry

    @property
    def size_m(self) -> float | None:
        """Mean bounding-box diagonal in metres, if known."""
        return self.info.size_m["mean"] if self.info.size_m else None

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.vertex_features.device

    @torch.inference_mode()
    def look(self, pictures: np.ndarray) -> NetworkOutput:
        """What the network says of pictures ``(B, H, W, 3)``, uint8 RGB."""
        pixels = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2)  # already channels last
        output: NetworkOutput = self.network(pixels.float() / 255)
        return output


def save_category_model(model: CategoryModel, folder: Path, precision: torch.dtype = torch.float32) -> None:
    """Write the model's three files, whole or not at all; an older model in `folder` is replaced.

    In half the `precision` it takes half the room; it is loaded as float32 all the same.
    """
    with atomic_folder(folder) as temporary:
        tensors = {f"network.{key}": value for key, value in _own_weights(model.network).items()}
        tensors["vertex_features"] = model.vertex_features
        tensors["clutter_features"] = model.clutter_features
        contiguous = {
            key: value.detach().cpu().to(precision).contiguous() for key, value in tensors.items()
        }
        data = save(contiguous, metadata={"sha256": checksum(contiguous)})
        (temporary / WEIGHTS).write_bytes(data)
        save_ply(model.template.mesh, temporary / "template.ply")
        content = asdict(model.info)
        content["symmetry"] = model.info.symmetry.as_dict()
        write_yaml(temporary / "category.yaml", {"format_version": FORMAT_VERSION, **content})


def load_category_model(folder: Path, device: torch.device | str = "cpu") -> CategoryModel:
    """Read a model saved by `save_category_model`, ready for inference.

    Raises:
        SurfposeError: not a model folder, damaged, of an unknown version, or trained with other
            backbone weights.
    """
    info, mesh, tensors = _read_files(folder)
    backbone = load_backbone(info.backbone, device)
    if backbone_checksum(backbone) != info.backbone_sha256:
        raise SurfposeError(
            f"{folder}: trained with other weights of {info.backbone} than are installed here; "
            "retrain, or install the weights it names"
        )
    try:
        tensors = {key: tensor.to(device, torch.float32) for key, tensor in tensors.items()}
        vertex, clutter = tensors.pop("vertex_features"), tensors.pop("clutter_features")
        network = CategoryNetwork(backbone, vertex.shape[1]).to(device)
        own = {key.removeprefix("network."): value for key, value in tensors.items()}
        unexpected = network.load_state_dict(own, strict=False).unexpected_keys
        missing = set(_own_weights(network)) - set(own)
    except (KeyError, IndexError, RuntimeError) as error:
        raise _damaged(folder / WEIGHTS, error) from error
    if unexpected or missing or len(vertex) != len(mesh.vertices):
        raise SurfposeError(f"{folder}: {WEIGHTS} and template.ply do not belong together")
    template = Template(mesh, np.array(info.extent_log_std))
    return CategoryModel(info, template, network.eval().requires_grad_(False), vertex, clutter)


def load_category_models(
    folders: Iterable[Path], device: torch.device | str = "cpu"
) -> list[CategoryModel]:
    """Models that look at the same images; those that were trained together share one backbone.

    Raises:
        SurfposeError: as `load_category_model`.
    """
    models = [load_category_model(folder, device) for folder in folders]
    if len(models) > 1:  # the weights of one need not be hashed
        share_backbones([model.network for model in models])
    return models


def share_backbones(networks: Sequence[CategoryNetwork]) -> None:
    """Let networks whose backbones have the same weights use one of them, and what it has seen already."""
    groups: dict[str, list[CategoryNetwork]] = {}
    for network in networks:
        groups.setdefault(backbone_checksum(network.backbone), []).append(network)
    for group in groups.values():
        if len(group) > 1:
            memory = PyramidMemory(group[0].backbone)
            for network in group:
                network.backbone, network.memory = memory.backbone, memory


def _read_files(folder: Path) -> tuple[CategoryInfo, Mesh, dict[str, Tensor]]:
    """The content of a model's three files; read again where another model takes their place meanwhile."""
    for _ in range(ATTEMPTS):
        before = _state(folder)
        if before is None:
            raise SurfposeError(f"{folder}: no such model folder; train one with `surfpose retrain`")
        try:
            found = (
                _read_info(folder / "category.yaml"),
                load_ply(folder / "template.ply"),
                _read_tensors(folder / WEIGHTS),
            )
        except SurfposeError:
            if _state(folder) == before:
                raise
        else:
            if _state(folder) == before:
                return found
    raise SurfposeError(f"{folder}: was replaced while it was read, time and again; read it later")


def _state(folder: Path) -> tuple[int, int] | None:
    """Changes when another model takes the folder's place; None where there is no folder."""
    if not folder.is_dir():
        return None
    found = folder.stat()
    return found.st_ino, found.st_mtime_ns


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    # Models saved before there was a checksum have none.
    if "sha256" in about and about["sha256"] != checksum(tensors):
        raise _damaged(path, ValueError("its checksum is another"))
    return tensors


def _damaged(path: Path, error: Exception) -> SurfposeError:
    reason = " ".join(str(error).split())[:200]
    return SurfposeError(f"{path}: damaged or not a model ({reason})")


def _own_weights(network: CategoryNetwork) -> dict[str, Tensor]:
    """The weights that training changed: the head's, and the backbone's adapted ones."""
    adapted = {id(parameter) for parameter in network.backbone.finetune_parameters()}
    named = dict(network.named_parameters())
    return {key: p for key, p in named.items() if key.startswith("head.") or id(p) in adapted}


def _read_info(path: Path) -> CategoryInfo:
    content = read_yaml(path, kind="category model", version=FORMAT_VERSION)
    content.pop("format_version")
    try:
        symmetry = symmetry_from_dict(content.pop("symmetry"))
        return CategoryInfo(symmetry=symmetry, **content)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise SurfposeError(f"{path}: fields are missing or not understood ({error})") from error


def mesh_in_metres(model: CategoryModel, diagonal_m: float) -> Mesh:
    """The template scaled so that its box has the given diagonal."""
    mesh = model.template.mesh
    return Mesh((mesh.vertices * (diagonal_m / mesh.diagonal)).astype(np.float32), mesh.faces)
