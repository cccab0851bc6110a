"""Networks that OpenVINO computes on a CPU, faster than PyTorch, the more so where the CPU has bfloat16.

Backbone and head are compiled apart, so that categories which share a backbone go on sharing it. A size of
pictures is compiled when it first comes, in a second or two.
"""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.network import CategoryNetwork, Head, NetworkOutput, PyramidMemory
from surfpose_ros.errors import MissingExtraError

MOST = 8  # sizes kept


def compiled_on_cpu(models: Sequence[CategoryModel]) -> list[CategoryModel]:
    """The same models, computed by OpenVINO; those on a GPU as they are.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    backbones: dict[int, CompiledBackbone] = {}
    memories: dict[int, PyramidMemory] = {}
    compiled = []
    for model in models:
        if model.device.type == "cpu":
            network, shared = model.network, id(model.network.backbone)
            backbone = backbones.setdefault(shared, CompiledBackbone(network.backbone))
            fast = CategoryNetwork(backbone, model.vertex_features.shape[1])
            fast.head = CompiledHead(network.head)
            if network.memory:
                fast.memory = memories.setdefault(shared, PyramidMemory(backbone))
            model = replace(model, network=fast.eval().requires_grad_(False))
        compiled.append(model)
    return compiled


class CompiledBackbone(Backbone):
    """A backbone for a head to build upon; it gives no descriptors and cannot be trained."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.name, self.stride, self.dimension = backbone.name, backbone.stride, backbone.dimension
        self.pyramid_channels, self.size_multiple = backbone.pyramid_channels, backbone.size_multiple
        self._compiled = _Compiled(_Pyramid(backbone))

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """See `Backbone.pyramid`."""
        return self._compiled(images)


class CompiledHead(Head):
    """A head without weights of its own; it cannot be trained."""

    def __init__(self, head: Head) -> None:
        nn.Module.__init__(self)
        self._compiled = _Compiled(_Outputs(head))

    def forward(self, pyramid: list[Tensor]) -> NetworkOutput:
        """Everything at the finest level of the pyramid."""
        return NetworkOutput(*self._compiled(*pyramid))


class _Compiled:
    """A module from tensors to a tuple of tensors, compiled for each height and width of its inputs."""

    def __init__(self, module: nn.Module) -> None:
        self._openvino = _openvino()
        self._module = module
        self._ready: dict[tuple[torch.Size, ...], Any] = {}

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        sizes = tuple(value.shape[1:] for value in inputs)
        if sizes not in self._ready:
            if len(self._ready) == MOST:
                del self._ready[next(iter(self._ready))]
            self._ready[sizes] = self._compile(inputs)
        told = self._ready[sizes]([value.contiguous().numpy() for value in inputs])
        return [torch.from_numpy(part) for part in told.values()]

    def _compile(self, inputs: Sequence[Tensor]) -> Any:
        shapes = [(-1, *value.shape[1:]) for value in inputs]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what depends on the size is made anew for each
            graph = self._openvino.convert_model(self._module, example_input=tuple(inputs), input=shapes)
        options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        return self._openvino.Core().compile_model(graph, "CPU", options)


class _Pyramid(nn.Module):
    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone.pyramid(images))


class _Outputs(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, *pyramid: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.head(list(pyramid)))


def _openvino() -> Any:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it reports to nobody
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("OpenVINO", extra="openvino", purpose="compiling for a CPU") from None
    return openvino
