"""Python, its packages, and the GPU."""

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys

from surfpose_ros.doctor.check import Check

# Each required module, and what pip calls it.
REQUIRED = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "trimesh": "trimesh",
    "embreex": "embreex",
    "fast_simplification": "fast-simplification",
    "skimage": "scikit-image",
    "safetensors": "safetensors",
    "yaml": "PyYAML",
    "rosbags": "rosbags",
    "typer": "typer",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "plotly": "plotly",
}


def check_machine() -> list[Check]:
    """Python, the required packages, OpenCV, and where PyTorch can run."""
    checks = [check_python(), check_packages()]
    if importlib.util.find_spec("cv2"):
        checks.append(check_opencv())
    if importlib.util.find_spec("torch"):
        checks.append(check_gpu())
    return checks


def check_python() -> Check:
    """The interpreter."""
    return Check("Python", "ok", f"{platform.python_version()} ({sys.prefix})")


def check_packages(required: dict[str, str] = REQUIRED) -> Check:
    """Every required module can be found."""
    missing = [name for module, name in required.items() if importlib.util.find_spec(module) is None]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        return Check("Python packages", "problem", f"missing: {', '.join(missing)}", remedy)
    return Check("Python packages", "ok", f"all {len(required)} there")


def check_opencv() -> Check:
    """OpenCV 4: version 5 gives ROS's cv_bridge images of another shape."""
    import cv2

    if int(cv2.__version__.split(".")[0]) > 4:
        return Check("OpenCV", "problem", cv2.__version__, 'pip install "opencv-python-headless<5"')
    return Check("OpenCV", "ok", cv2.__version__)


def check_gpu() -> Check:
    """The device that PyTorch will use, tried with a small product."""
    import torch

    name = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        return _check_cuda(name)
    cores = len(os.sched_getaffinity(0))
    if _nvidia_gpus():
        remedy = "install the PyTorch build that fits the driver: https://pytorch.org/get-started/locally"
        return Check("PyTorch, GPU", "warning", f"{name}, which does not see {_nvidia_gpus()}", remedy)
    helped = importlib.util.find_spec("openvino") is not None
    openvino = "OpenVINO is there" if helped else "OpenVINO makes live poses faster: pip install openvino"
    return Check("PyTorch, GPU", "ok", f"{name}, no GPU: {cores} CPU cores; {openvino}")


def _check_cuda(name: str) -> Check:
    import torch

    try:
        torch.ones(8, 8, device="cuda").matmul(torch.ones(8, 8, device="cuda")).sum().item()
        free, total = torch.cuda.mem_get_info()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:150]
        remedy = "reboot, or install the PyTorch build that fits this GPU and driver"
        return Check("PyTorch, GPU", "problem", f"{name}: the GPU does not compute ({reason})", remedy)
    memory = f"{free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    found = f"{name} on {torch.cuda.get_device_name()}, {memory}"
    if free < 2**30:
        return Check("PyTorch, GPU", "warning", found, "end other programs on the GPU: 1 GiB is needed")
    return Check("PyTorch, GPU", "ok", found)


def _nvidia_gpus() -> str:
    """The names of NVIDIA's GPUs as the driver tells them, "" if there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    listing = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return ", ".join(listing.stdout.split("\n")).strip(", ") if listing.returncode == 0 else ""
