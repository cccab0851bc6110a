import json

import pytest
from typer.testing import CliRunner

from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.cli import benchmark
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.growth_benchmark import made_up_surface, run


def test_made_up_bodies_of_any_size_align():
    bodies = [made_up_surface(seed, 100, dimension=16) for seed in range(4)]
    assert {len(body.mesh.vertices) for body in bodies} == {100}
    fast = AlignmentSettings(samples=200, refine_steps=10, joint_steps=20, field_size=24)
    assert min(align_surfaces(bodies, fast).confidence.values()) == 1


@pytest.mark.parametrize(
    ("axis", "sizes", "stages"),
    [("vertices", ["250", "500"], {"pairs", "together"}), ("views", ["24"], {"features"})],
)
def test_the_command_measures_every_size_and_draws_it(axis, sizes, stages, monkeypatch, tmp_path):
    files = {"--json": tmp_path / "growth.json", "--html": tmp_path / "growth.html"}
    command = ["growth", "--axis", axis, "--most", sizes[-1]]
    command += [str(word) for pair in files.items() for word in pair]
    monkeypatch.setattr("sys.argv", ["surfpose", "benchmark", *command])
    result = CliRunner().invoke(benchmark.app, command)
    assert result.exit_code == 0, result.output
    measured = json.loads(files["--json"].read_text())["growth"]
    assert list(measured) == [axis]
    assert list(measured[axis]) == sizes
    for figures in measured[axis].values():
        assert set(figures) == {*stages, "all", "memory_mib"}
        assert all(0 < figures[stage] < figures["all"] for stage in stages)
    assert files["--html"].read_text().count("<img") == 2


@pytest.mark.parametrize(("axis", "reason"), [("frames", "one of views"), ("objects", "needs --model")])
def test_an_axis_that_cannot_be_measured_is_refused(axis, reason):
    with pytest.raises(SurfposeError, match=reason):
        run(axis=[axis])


def test_the_throughput_of_several_processes_is_measured(monkeypatch, tmp_path):
    command = ["throughput", "--videos", "2", "--views", "24", "--jobs", "2"]
    command += ["--json", str(tmp_path / "throughput.json")]
    monkeypatch.setattr("sys.argv", ["surfpose", "benchmark", *command])
    result = CliRunner().invoke(benchmark.app, command)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "throughput.json").read_text())
    assert (figures["videos"], figures["views"], figures["jobs"]) == (2, 24, 2)
    assert figures["processor_s"] > 0
    assert figures["wall_s"] > 0
