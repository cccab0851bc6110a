"""A training that was stopped goes on where it was: its state on disk, as tensors and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from surfpose_ros.checksum import checksum
from surfpose_ros.files import atomic_file

FORMAT_VERSION = "3"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW knows of each parameter


@dataclass(frozen=True)
class Checkpoint:
    """Where a training's state is kept.

    Attributes:
        path: of the file (safetensors).
        made_from: digest of all that the training depends on; a state of another is not taken up.
        every: steps between two savings.
    """

    path: Path
    made_from: str
    every: int = 50

    def save(
        self,
        step: int,
        parameters: dict[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> None:
        """Keep the state after that many steps; the older one is replaced whole."""
        tensors = {"generator": generator.get_state(), "done": torch.tensor(step)}
        for name, value in parameters.items():
            tensors[f"parameter.{name}"] = value.detach()
            tensors |= {f"{moment}.{name}": content for moment, content in optimiser.state[value].items()}
        contiguous = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        about = {"format_version": FORMAT_VERSION, "made_from": self.made_from}
        about["sha256"] = checksum(contiguous)
        with atomic_file(self.path) as temporary:
            temporary.write_bytes(save(contiguous, metadata=about))

    def restore(
        self,
        parameters: dict[str, nn.Parameter],
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> int:
        """Take up the kept state; the steps that it has done, 0 if there is none of this training."""
        tensors = self._read()
        if not tensors:
            return 0
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(tensors[f"parameter.{name}"])
                known = {moment: tensors.get(f"{moment}.{name}") for moment in MOMENTS}
                optimiser.state[value] = {
                    # The count of steps stays on the CPU, where AdamW has it.
                    moment: content if moment == "step" else content.to(value.device)
                    for moment, content in known.items()
                    if content is not None
                }
        generator.set_state(tensors["generator"])
        return int(tensors["done"])

    def discard(self) -> None:
        """Nothing is left to go on with."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Tensor]:
        """What was saved; nothing if it is another training's, or if another program broke it."""
        try:
            with safe_open(self.path, framework="pt") as file:
                about = file.metadata() or {}
                if (about.get("format_version"), about.get("made_from")) != (
                    FORMAT_VERSION,
                    self.made_from,
                ):
                    return {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return {}
        return tensors if about.get("sha256") == checksum(tensors) else {}
