import csv
import io

import numpy as np
import pytest
import trimesh

from surfpose_ros.evaluation.report import Report
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.geometry.meshes import mesh_from_trimesh

TABLE = Table(
    "Cars & vans", ("name", "Acc30 %", "n"), [("a_b <i>", 97.25, 10), ("c", None, 3)], note="2 cores"
)


def test_a_table_shows_the_same_cells_in_every_form():
    assert TABLE.texts() == [["a_b <i>", "97.2", "10"], ["c", "–", "3"]]
    assert TABLE.numeric() == [False, True, True]
    assert "| c | – | 3 |" in TABLE.markdown()
    assert r"a\_b <i> & 97.2 & 10 \\" in TABLE.latex()
    assert "a_b &lt;i&gt;" in TABLE.html() and "Cars &amp; vans" in TABLE.html()


def test_csv_keeps_every_digit():
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert float(rows[0]["Acc30 %"]) == 97.25 and rows[1]["Acc30 %"] == ""


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 2 columns"):
        Table("t", ("a", "b"), [(1,)])


def test_a_page_holds_its_pictures_and_loads_nothing_from_elsewhere(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    report = (
        Report("Mugs <1>", "today").add_heading("One").add_table(TABLE).add_picture(picture, "a picture")
    )
    report.add_gallery([("best", picture), ("worst", picture)], "Gallery")
    report.add_histogram({"error": [1.0, 2.0, 30.0]}, "Errors", "degrees")
    path = report.write(tmp_path / "page.html")
    page = path.read_text()
    assert page.count("src='data:image/") == 4 and "src='http" not in page
    assert "Mugs &lt;1&gt;" in page


def test_an_empty_histogram_is_drawn_empty():
    assert "data:image/png" in Report("t").add_histogram({"none": []}, "Errors", "degrees").html()


def test_meshes_are_in_the_page_and_the_script_only_once():
    pytest.importorskip("plotly")
    mesh = mesh_from_trimesh(trimesh.creation.icosphere(1))
    once = Report("t").add_meshes({"a": mesh}, "Meshes").html()
    twice = Report("t").add_meshes({"a": mesh}, "Meshes").add_meshes({"b": mesh, "c": mesh}, "More").html()
    assert 0 < len(twice) - len(once) < 100_000
