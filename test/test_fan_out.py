"""One function over many items; with Ray where it is installed, on a cluster of this machine."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from surfpose_ros.alignment.alignment import write_alignment
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import FanOut, RayCluster, Workers, fan_out_of, in_process
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.reconstruct import ReconstructSettings

from .alignment.synthetic import make_surfaces

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='ray is not installed ("surfpose_ros[ray]")'
)


@pytest.fixture(scope="module")
def cluster() -> RayCluster:
    return RayCluster("local")


@pytest.fixture(params=["workers", pytest.param("cluster", marks=needs_ray)])
def elsewhere(request) -> Iterator[FanOut]:
    """Who works in place of this process, which has one thread meanwhile, as they have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Workers(2) if request.param == "workers" else request.getfixturevalue("cluster")
    torch.set_num_threads(threads)


def half(number: int) -> int:
    if number % 2:
        raise SurfposeError(f"{number} is odd")
    return number // 2


def test_in_one_process_items_come_in_order_and_a_bad_one_does_not_stop_the_others():
    results = dict(in_process(half, [4, 3, 2]))
    assert (results[4], str(results[3]), results[2]) == (2, "3 is odd", 1)
    assert fan_out_of(None) is in_process


def test_a_killed_process_ends_the_others_with_a_clear_error():
    with pytest.raises(SurfposeError, match=r"one of 2 processes was killed.*fewer --jobs"):
        list(fan_out_of(None, jobs=2)(os._exit, [1, 2, 3]))


def test_a_cluster_and_processes_cannot_both_be_asked_for():
    with pytest.raises(SurfposeError, match="--ray and --jobs: say one of them"):
        fan_out_of("local", jobs=2)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_a_cluster_without_ray_says_what_to_install():
    with pytest.raises(SurfposeError, match=r'pip install "surfpose_ros\[ray\]"'):
        fan_out_of("local")


@needs_ray
def test_a_cluster_gives_every_item_its_result_and_its_error(cluster):
    # Defined here, so that it is sent to the workers and not looked for there.
    def halved(number: int) -> int:
        if number % 2:
            raise SurfposeError(f"{number} is odd")
        return number // 2

    results = dict(cluster(halved, range(100)))
    assert [results[number] for number in range(0, 100, 2)] == list(range(50))
    assert {str(results[number]) for number in range(1, 100, 2)} == {
        f"{n} is odd" for n in range(1, 100, 2)
    }


@needs_ray
def test_what_a_killed_worker_had_is_done_again(cluster, tmp_path):
    def killed_once(number: int) -> int:
        mark = tmp_path / str(number)
        if number in (1, 4) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    assert dict(cluster(killed_once, range(6))) == {n: n * n for n in range(6)}
    assert len(list(tmp_path.iterdir())) == 2


@needs_ray
def test_an_item_that_kills_every_worker_is_named_and_the_others_are_done(cluster):
    def deadly(name: str) -> str:
        if name == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return name.upper()

    results = dict(cluster(deadly, ["good", "bad", "fine"]))
    assert (results["good"], results["fine"]) == ("GOOD", "FINE")
    assert "bad: 4 workers were lost over it" in str(results["bad"])


@needs_ray
def test_a_certain_gpu_is_refused_as_ray_chooses():
    with pytest.raises(SurfposeError, match="Ray chooses the GPU"):
        RayCluster("local", "cuda:1")


def test_surfaces_are_the_same_files_wherever_they_are_made(elsewhere, tmp_path):
    def mug():
        return make_object("mug", 1)

    captures = simulate_captures([mug, mug], ["one", "two"], tmp_path / "captures", 0, CaptureOptions(24))
    (tmp_path / "captures" / "bad").mkdir()
    captures = [*captures, tmp_path / "captures" / "bad"]
    small = ReconstructSettings(max_vertices=60, resolution=40, image_size=96, views_kept=4)

    def files(where: str, fan_out) -> tuple[dict[str, bytes], object]:
        report = reconstruct_captures(captures, tmp_path / where, small, fan_out=fan_out)
        return {path.name: path.read_bytes() for path in (tmp_path / where).iterdir()}, report

    here, report = files("here", in_process)
    there, report_there = files("there", elsewhere)
    assert here == there
    assert report == report_there
    assert (report.made, list(report.failed)) == (["one", "two"], [str(captures[2])])
    assert files("there", elsewhere)[1].kept == ["one", "two"]


def test_an_alignment_is_the_same_file_wherever_it_is_made(elsewhere, tmp_path):
    surfaces, _ = make_surfaces(13)  # 78 pairs: more than one chunk
    fast = AlignmentSettings(samples=100, refine_steps=4, joint_steps=5, field_size=24)
    for name, fan_out in (("here", in_process), ("there", elsewhere)):
        kept = tmp_path / f"{name}.pairs"
        write_alignment(tmp_path / name, align_surfaces(surfaces, fast, fan_out=fan_out, kept_pairs=kept))
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
    assert not Path(tmp_path / "here.pairs").exists()
