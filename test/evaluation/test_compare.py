import json

import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import compare
from surfpose_ros.progress import silent


def write(folder, name, **figures):
    folder.mkdir(exist_ok=True)
    content = {"benchmark": name, "machine": {"date": "today", "cores": 2}, **figures}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def results(tmp_path):
    old = write(tmp_path / "old", "mini", car={"acc30": 0.9, "median_deg": 8.0, "n": 40, "name": "car"})
    new = write(tmp_path / "new", "mini", car={"acc30": 0.8, "median_deg": 7.0, "n": 40, "name": "car"})
    return old, new


def test_what_moved_is_said_with_its_direction(results):
    result = compare.run(*results, 0.01, False, progress=silent)
    verdicts = {change["figure"]: change["verdict"] for change in result.figures["moved"]}
    assert verdicts == {"mini/car/acc30": "worse", "mini/car/median_deg": "better"}
    assert result.tables[0].rows[0][0] == "mini/car/acc30"  # the worse ones first


def test_changes_within_the_tolerance_are_none(results):
    result = compare.run(*results, 0.5, True, progress=silent)
    assert result.figures["moved"] == [] and result.tables[0].title == "Nothing moved"


def test_a_worse_figure_fails_where_that_is_asked_for(results):
    with pytest.raises(
        SurfposeError, match=r"1 figure\(s\) became worse, first mini/car/acc30: 0.9 to 0.8"
    ):
        compare.run(*results, 0.01, True, progress=silent)


def test_files_and_folders_both_serve_and_strangers_are_refused(results, tmp_path):
    old, new = results
    files = compare.run(old / "mini.json", new / "mini.json", 0.01, False, progress=silent)
    assert len(files.figures["moved"]) == 2
    other = write(tmp_path / "other", "live", p50=1.0)
    with pytest.raises(SurfposeError, match="no benchmark in common"):
        compare.run(old, other, 0.01, False, progress=silent)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(SurfposeError, match="no benchmark results"):
        compare.run(tmp_path / "list.json", new, 0.01, False, progress=silent)
    with pytest.raises(SurfposeError, match="cannot be read"):
        compare.run(tmp_path / "absent.json", new, 0.01, False, progress=silent)
