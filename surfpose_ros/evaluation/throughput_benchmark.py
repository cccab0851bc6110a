"""`surfpose benchmark throughput`: how fast many videos become surfaces, once their frames are decoded.

Each process renders a mug of its own on a turntable and makes its surface once, to warm up; then all of
them make surfaces of what they hold, and nothing is written.
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Annotated

import numpy as np
import torch
import typer

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.growth_benchmark import simulated_video
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.fan_out import take_one_thread
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.reconstruct import reconstruct
from surfpose_ros.video.object_video import ObjectVideo


@dataclass(frozen=True)
class _Work:
    """What a process holds."""

    video: ObjectVideo
    backbone: Backbone
    begun: Barrier


_work: _Work  # of this process


def run(
    videos: Annotated[int, typer.Option(min=1, help="That become surfaces.")] = 50,
    views: Annotated[int, typer.Option(min=24, help="Frames of each.")] = 100,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Seconds of the wall for all, and of the processor for each."""
    load_backbone(DEFAULT_BACKBONE, device)  # before any process, if it cannot be
    spawn = multiprocessing.get_context("spawn")
    begun, number = spawn.Barrier(jobs), spawn.Value("i", 0)
    progress("throughput", 0, videos, "warming up")
    with ProcessPoolExecutor(jobs, spawn, _start, (views, device, number, begun)) as pool:
        # Each takes a process, and keeps it until all are ready.
        for waiting in [pool.submit(_wait) for _ in range(jobs)]:
            try:
                waiting.result()
            except BrokenProcessPool as error:
                raise SurfposeError("a process could not begin; why not, it says above") from error
        start = time.perf_counter()
        done = []
        for future in [pool.submit(_once) for _ in range(videos)]:
            done.append(future.result())
            progress("throughput", len(done), videos)
        wall = time.perf_counter() - start
    processor, memory = (np.array(values) for values in zip(*done, strict=True))
    figures = {
        "videos": videos,
        "views": views,
        "jobs": jobs,
        "cores": os.cpu_count(),
        "device": device,
        "load": round(os.getloadavg()[0], 1),
        "wall_s": wall,
        "processor_s": float(np.median(processor)),
        "gpu_memory_mib": float(memory.max()),
    }
    columns = (
        "videos",
        "frames each",
        "processes",
        "wall [s]",
        "processor, a video [s]",
        "GPU memory, a process [MiB]",
    )
    row = [videos, views, jobs, wall, figures["processor_s"], figures["gpu_memory_mib"]]
    return BenchmarkResult("throughput", figures, [Table(f"Surfaces on {device}", columns, [row])])


def _start(
    views: int, device: str, count: "multiprocessing.sharedctypes.Synchronized[int]", begun: Barrier
) -> None:
    global _work
    take_one_thread()
    with count.get_lock():
        number = count.value
        count.value += 1
    _work = _Work(simulated_video(views, number), load_backbone(DEFAULT_BACKBONE, device), begun)
    reconstruct(_work.video, _work.backbone)


def _wait() -> None:
    _work.begun.wait()


def _once() -> tuple[float, float]:
    """Seconds of the processor for one video, and the most memory that the GPU gave, MiB."""
    start = time.process_time()
    reconstruct(_work.video, _work.backbone)
    gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return time.process_time() - start, gpu
