import json
import sys
import types
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from surfpose_ros.cli import benchmark
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Table


def run(
    size: Annotated[int, typer.Option(help="How many.")],
    name: Annotated[str, typer.Option(help="A name.")] = "mug",
    *,
    progress,
) -> BenchmarkResult:
    progress("count", size, size)
    return BenchmarkResult("toy", {"size": size, "name": name}, [Table("Toy", ("n",), [(size,)])])


@pytest.fixture
def toy(monkeypatch):
    module = types.ModuleType("toy_benchmark")
    module.run = run
    monkeypatch.setitem(sys.modules, "toy_benchmark", module)
    monkeypatch.setitem(benchmark.BENCHMARKS, "toy", ("toy_benchmark", "A toy."))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["surfpose", "benchmark", *arguments])
        return CliRunner().invoke(benchmark.app, list(arguments))

    return call


def test_a_benchmarks_parameters_become_options(toy):
    result = toy("toy", "--size", "3")
    assert result.exit_code == 0, result.output
    assert "Toy" in result.stdout and "3" in result.stdout
    assert toy("toy").exit_code == 2
    assert "How many." in toy("toy", "--help").stdout


def test_figures_go_to_stdout_alone_where_asked(toy):
    content = json.loads(toy("toy", "--size", "3", "--json", "-").stdout)
    assert content["benchmark"] == "toy" and content["size"] == 3 and content["name"] == "mug"
    assert content["machine"]["date"]


def test_every_form_is_written(toy, tmp_path):
    files = [tmp_path / f"out.{suffix}" for suffix in ("json", "csv", "latex", "html")]
    arguments = [text for path in files for text in (f"--{path.suffix[1:]}", str(path))]
    assert toy("toy", "--size", "3", *arguments).exit_code == 0
    assert json.loads(files[0].read_text())["size"] == 3
    assert all("3" in path.read_text() for path in files)


def test_the_list_of_benchmarks_imports_none_of_them(toy):
    listing = toy("--help").stdout
    assert "published-alignment" in listing and "A toy." in listing
