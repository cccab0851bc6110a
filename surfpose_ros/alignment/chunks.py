"""All pairs of many surfaces, a chunk at a time: each by itself, by whoever is free, and kept on disk until
the alignment is whole.

A chunk draws its own random samples, so what comes out depends on neither who works nor in what order.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from surfpose_ros.alignment.distances import Matches
from surfpose_ros.alignment.pairs import PairAlignments, align_pairs, all_pairs
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import FanOut, in_process
from surfpose_ros.files import atomic_file
from surfpose_ros.progress import Progress, silent

# Pairs of a chunk: a few seconds of one core and some 100 MB at most; or enough to keep a GPU busy.
CPU_CHUNK, GPU_CHUNK = 64, 512
FORMAT_VERSION = "1"


def align_all_pairs(
    shapes: Shapes,
    settings: AlignmentSettings,
    progress: Progress = silent,
    fan_out: FanOut = in_process,
    kept: Path | None = None,
) -> PairAlignments:
    """The best transforms of all pairs of surfaces, in the order of `all_pairs`.

    Args:
        shapes: N surfaces.
        settings: of the alignment.
        progress: told of each chunk.
        fan_out: who works.
        kept: folder for finished chunks, from which they are taken up again; nothing is kept if None.

    Raises:
        SurfposeError: a chunk that nobody could do.
    """
    count = len(shapes) * (len(shapes) - 1) // 2
    size = CPU_CHUNK if shapes.vertices.device.type == "cpu" else GPU_CHUNK
    numbers = range(-(-count // size))
    store = _Store(kept, _digest(shapes, settings, size)) if kept else None
    parts = {number: done for number in numbers if store and (done := store.load(number))}
    progress("pairs", len(parts), len(numbers))
    missing = [number for number in numbers if number not in parts]
    for number, part in fan_out(_Chunk(shapes, settings, size), missing):
        if isinstance(part, SurfposeError):
            raise part
        if store:
            store.save(number, part)
        parts[number] = part
        progress("pairs", len(parts), len(numbers))
    return _joined([parts[number] for number in numbers], shapes.vertices.device)


@dataclass(frozen=True)
class _Chunk:
    """Aligns the pairs of a chunk, in any process."""

    shapes: Shapes
    settings: AlignmentSettings
    size: int

    def __call__(self, number: int) -> PairAlignments:
        """The chunk of that number, on the CPU."""
        source, target = all_pairs(len(self.shapes), self.shapes.vertices.device)
        part = slice(number * self.size, (number + 1) * self.size)
        settings = replace(self.settings, seed=self.settings.seed + number)
        return _moved(align_pairs(self.shapes, source[part], target[part], settings), "cpu")


@dataclass(frozen=True)
class _Store:
    """Finished chunks of one alignment, one safetensors file each."""

    folder: Path
    made_from: str

    def load(self, number: int) -> PairAlignments | None:
        """The chunk, or None if it is not there, of other surfaces or settings, or broken."""
        try:
            with safe_open(self._path(number), framework="pt") as file:
                if file.metadata() != self._about():
                    return None
                return _from_tensors({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, KeyError):
            return None

    def save(self, number: int, pairs: PairAlignments) -> None:
        """Keep the chunk, whole or not at all."""
        with atomic_file(self._path(number)) as temporary:
            save_file(_as_tensors(pairs), temporary, metadata=self._about())

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"

    def _about(self) -> dict[str, str]:
        return {"format_version": FORMAT_VERSION, "made_from": self.made_from}


def _as_tensors(pairs: PairAlignments) -> dict[str, Tensor]:
    matches = pairs.matches
    tensors = {
        "source": matches.source,
        "target": matches.target,
        "forward": matches.forward,
        "backward": matches.backward,
        "source_weights": matches.source_weights,
        "target_weights": matches.target_weights,
        "transforms": pairs.target_from_source,
        "distance": pairs.distance,
    }
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _from_tensors(tensors: dict[str, Tensor]) -> PairAlignments:
    return PairAlignments(
        Matches(
            tensors["source"],
            tensors["target"],
            tensors["forward"],
            tensors["backward"],
            tensors["source_weights"],
            tensors["target_weights"],
        ),
        tensors["transforms"],
        tensors["distance"],
    )


def _moved(pairs: PairAlignments, device: torch.device | str) -> PairAlignments:
    return _from_tensors({name: tensor.to(device) for name, tensor in _as_tensors(pairs).items()})


def _joined(parts: Sequence[PairAlignments], device: torch.device) -> PairAlignments:
    columns = [_as_tensors(part) for part in parts]
    return _from_tensors(
        {name: torch.cat([part[name] for part in columns]).to(device) for name in columns[0]}
    )


def _digest(shapes: Shapes, settings: AlignmentSettings, size: int) -> str:
    digest = hashlib.sha256(json.dumps([size, settings.as_dict()], sort_keys=True).encode())
    for column in fields(shapes):
        tensor = getattr(shapes, column.name)
        if tensor is not None:
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
