"""One function over many items, in this process, in several of this machine, or on those of a Ray cluster.

Ray is imported only where a cluster is asked for. A worker computes with one thread, so its results are
those of one process with one thread, to the byte.
"""

import importlib.util
import multiprocessing
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from surfpose_ros.errors import MissingExtraError, SurfposeError

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcome = Iterator[tuple[Item, Result | SurfposeError]]

RETRIES = 3  # times that an item is given to another worker because its worker was lost
AHEAD = 4  # items a core that wait in the cluster: enough to keep it busy, whatever their number
GPU_SHARE = 0.25  # of a GPU that a worker takes: beside the network, a video keeps a core busy


class FanOut(Protocol):
    """Calls a function on every item, and yields each item with its result as they come."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Outcome[Item, Result]:
        """Yield every item once with its result, or with the `SurfposeError` that it ended in.

        Args:
            function: picklable; it is sent to each worker once, and may keep there what it loads.
            items: picklable, small.
        """


def in_process(function: Callable[[Item], Result], items: Iterable[Item]) -> Outcome[Item, Result]:
    """A `FanOut` that calls the function here, in order.

    Example:
        >>> list(in_process(len, ["a", "bc"]))
        [('a', 1), ('bc', 2)]
    """
    for item in items:
        yield item, _attempt(function, item)


class Workers:
    """A `FanOut` over processes of this machine."""

    def __init__(self, count: int) -> None:
        """`count` processes, started for each call."""
        self._count = count

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Outcome[Item, Result]:
        """Yield results as they finish; what has not begun is cancelled when the caller stops.

        Raises:
            SurfposeError: a process was killed; with it the others end.
        """
        spawn = multiprocessing.get_context("spawn")  # forked processes could not use a GPU
        count = max(min(self._count, len(items)), 1)
        # Pickled here and not by the pool, which would lend tensors to other processes, on a GPU even those
        # of processes that end before they are read.
        packed = pickle.dumps(function)
        with ProcessPoolExecutor(count, spawn, initializer=_start, initargs=(packed,)) as pool:
            waiting = {pool.submit(_given, item): item for item in items}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], pickle.loads(future.result())
            except BrokenProcessPool as error:
                raise SurfposeError(
                    f"one of {count} processes was killed, for want of memory perhaps; what was done is "
                    "kept: run it again, with fewer --jobs"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


class RayCluster:
    """A `FanOut` over a Ray cluster, connected when it is made."""

    def __init__(self, address: str, device: str = "cpu") -> None:
        """Connect, or start a cluster on this machine.

        Args:
            address: `local` for this machine, `auto` for the cluster that it belongs to, else host:port.
            device: that the functions use, `cpu` or `cuda`; which GPU a worker gets, Ray says.

        Raises:
            SurfposeError: Ray is not installed, no cluster is there, or a certain GPU was asked for.
        """
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("ray", extra="ray", purpose="--ray")
        if ":" in device:
            raise SurfposeError(f"--device {device}: in a cluster Ray chooses the GPU; say --device cuda")
        self._ray = _connected(address)
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        self._most_waiting = max(AHEAD * cores, 2)
        gpus = 0 if device == "cpu" else GPU_SHARE
        options = {"num_cpus": 1, "num_gpus": gpus, "max_retries": RETRIES}
        self._call = self._ray.remote(**options)(_in_worker)

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Outcome[Item, Result]:
        """Yield results as they finish; what is under way is cancelled when the caller stops."""
        shared = self._ray.put((Path.cwd(), function))
        waiting: dict[Any, Item] = {}
        try:
            # Ray says on stdout that it lost a worker; stdout is for results.
            with redirect_stdout(sys.stderr):
                for item in items:
                    # In a list, the reference itself is sent: each worker fetches the function once.
                    waiting[self._call.remote([shared], item)] = item
                    if len(waiting) >= self._most_waiting:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
        finally:
            for reference in waiting:
                self._ray.cancel(reference)

    def _next(self, waiting: dict[Any, Item]) -> tuple[Item, Any]:
        (reference,), _ = self._ray.wait(list(waiting), num_returns=1)
        item = waiting.pop(reference)
        try:
            return item, self._ray.get(reference)
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError) as error:
            reason = str(error).strip().splitlines()[0]
            return item, SurfposeError(f"{item}: {RETRIES + 1} workers were lost over it ({reason})")


def fan_out_of(address: str | None, device: str = "cpu", jobs: int = 1) -> FanOut:
    """The cluster at `address`; where there is none, so many processes, or this one.

    Raises:
        SurfposeError: as `RayCluster`, or both are asked for.
    """
    if address is not None and jobs > 1:
        raise SurfposeError("--ray and --jobs: say one of them; --ray local has a process for each core")
    if address is not None:
        return RayCluster(address, device)
    return Workers(jobs) if jobs > 1 else in_process


def _attempt(function: Callable[[Item], Result], item: Item) -> Result | SurfposeError:
    try:
        return function(item)
    except SurfposeError as error:
        return SurfposeError(str(error))  # one that any process can unpickle


def _in_worker(shared: list[Any], item: Any) -> Any:
    function = _fetched(shared[0])
    return _attempt(function, item)


@lru_cache(maxsize=1)
def _fetched(shared: Any) -> Callable[[Any], Any]:
    """The function of this worker's current stage, from the cluster."""
    import ray

    folder, function = ray.get(shared)
    # Relative paths mean here what they mean to the caller; without that folder they are found missing.
    with suppress(FileNotFoundError):
        os.chdir(folder)
    take_one_thread()
    return cast(Callable[[Any], Any], function)


_function: Callable[[Any], Any]  # of this process, where it is one of `Workers`


def _start(packed: bytes) -> None:
    global _function
    _function = pickle.loads(packed)
    take_one_thread()


def _given(item: Any) -> bytes:
    return pickle.dumps(_attempt(_function, item))


def take_one_thread() -> None:
    """Other workers have the other cores."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _connected(address: str) -> Any:
    """The module `ray`, connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody
    import ray

    if not ray.is_initialized():
        new = {"include_dashboard": False} if address == "local" else {}
        host, _, port = address.rpartition(":")
        try:
            if port.isdigit() and "://" not in host:  # Ray itself tries for minutes
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **new)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise SurfposeError(
                f"--ray {address}: no cluster answers there ({reason}); start one with `ray start --head`, "
                "or say --ray local for the cores of this machine"
            ) from error
    return ray
