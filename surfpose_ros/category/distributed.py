"""Training by several processes at once, as torchrun starts them: each computes a part of every batch.

All processes draw the random numbers of the whole batch and keep those of their part, so that they see
together what one process would see, and their generators stay alike. One sum over all gradients a step,
of some megabytes, costs less than what DistributedDataParallel would save by overlapping it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from surfpose_ros.errors import SurfposeError


@dataclass(frozen=True)
class Share:
    """The part of every batch that this process computes: the `rank`-th of `ranks`, all of it by default.

    Example:
        >>> Share(1, 2).of(torch.arange(6)).tolist()
        [3, 4, 5]
    """

    rank: int = 0
    ranks: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def of(self, batch: Tensor) -> Tensor:
        """This process's rows of a whole batch.

        Raises:
            SurfposeError: the batch cannot be shared out evenly.
        """
        if len(batch) % self.ranks:
            raise SurfposeError(
                f"a batch of {len(batch)} cannot be shared by {self.ranks} processes evenly"
            )
        return batch.chunk(self.ranks)[self.rank]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over all processes."""
        if self.ranks == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        together /= self.ranks
        parts = together.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


@contextmanager
def joined_processes(device: str) -> Iterator[tuple[Share, torch.device]]:
    """Join the processes that torchrun started, each on its own GPU where `device` is cuda.

    Yields:
        This process's share and device; all and `device` where torchrun started none.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        yield Share(), torch.device(device)
        return
    own = torch.device(device)
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Share(distributed.get_rank(), ranks), own
    finally:
        distributed.destroy_process_group()
