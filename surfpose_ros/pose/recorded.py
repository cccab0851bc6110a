"""Functions of tensors recorded as CUDA graphs: hundreds of small steps are handed to the GPU as one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

WARM_UPS = 3  # calls before the recording, in which libraries choose their algorithms
REPEATS = 3  # calls of one kind after which it is worth a recording: a folder of photos has many sizes
MOST = 16  # recordings kept, each with memory of its own

TensorFunction = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Recorded:
    """A function on one GPU, recorded for each set of shapes that comes again and again.

    The function must not wait for a value on the GPU. What a call returns is overwritten by the next one.
    On a CPU the function is called as it is.
    """

    def __init__(self, function: TensorFunction, device: torch.device) -> None:
        """`function` takes tensors, and options that can be dictionary keys."""
        self._function, self._device = function, device
        self._recordings: dict[object, _Recording] = {}
        self._calls: Counter[object] = Counter()

    def __call__(self, *inputs: Tensor, **options: object) -> tuple[Tensor, ...]:
        """What the function returns; inputs may come from another device."""
        if self._device.type != "cuda":
            return self._function(*inputs, **options)
        key = (*((value.shape, value.dtype) for value in inputs), *sorted(options.items()))
        if key not in self._recordings:
            self._calls[key] += 1
            if self._calls[key] < REPEATS:
                there = (value.to(self._device) for value in inputs)
                return self._function(*there, **options)
            if len(self._recordings) == MOST:
                del self._recordings[next(iter(self._recordings))]
            self._recordings[key] = self._record(inputs, options)
        found = self._recordings[key]
        for place, value in zip(found.inputs, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        found.graph.replay()
        return found.outputs

    def _record(self, inputs: tuple[Tensor, ...], options: dict[str, object]) -> _Recording:
        places = tuple(value.to(self._device, copy=True) for value in inputs)
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._function(*places, **options)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Another thread may load a model meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = self._function(*places, **options)
        return _Recording(graph, places, outputs)
