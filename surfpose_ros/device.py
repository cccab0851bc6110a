"""Where tensors live: a device by name, or a clear word on why there is none of that name."""

from textwrap import shorten

import torch

from surfpose_ros.errors import SurfposeError


def torch_device(name: torch.device | str) -> torch.device:
    """The device of a name: cpu, cuda, cuda:1, ...; auto is the GPU where there is one, else the CPU.

    Raises:
        SurfposeError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "cuda":  # no tensor, which would take room on a GPU meant for others
            count = torch.cuda.device_count()
            if (device.index or 0) >= count:
                raise RuntimeError(f"PyTorch sees {count} NVIDIA GPUs")
        else:
            torch.empty(1, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:  # PyTorch's builds differ
        reason = shorten(str(error).splitlines()[0], 70, placeholder=" ...")
        raise SurfposeError(f"device {name}: it cannot be used here ({reason}); cpu always can") from error
    return device
