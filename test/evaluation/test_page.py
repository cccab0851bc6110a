import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import page
from surfpose_ros.evaluation.benchmark import BenchmarkResult, write_result
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.progress import silent


def test_the_page_shows_every_result_with_its_machine_and_command(tmp_path):
    table = Table("Poses of mugs", ("category", "Acc30"), [("mug", 97.5)], note="Forty photos.")
    write_result(BenchmarkResult("mini", {"acc30": 0.975}, [table]), tmp_path / "mini.json")
    published = tmp_path / "published.yaml"
    published.write_text(
        "tables:\n- {title: Theirs, columns: [method, Acc30], "
        "rows: [[A, 56.3], [B, null]], source: A paper.}\n"
    )
    page.run(tmp_path, tmp_path / "page.md", published, progress=silent)
    text = (tmp_path / "page.md").read_text()
    for part in (
        "## Mini",
        "**Poses of mugs**",
        "| mug | 97.5 |",
        "Forty photos.",
        "commit",
        "| A | 56.3 |",
    ):
        assert part in text
    assert text.index("Mini") < text.index("As published by others") < text.index("A paper.")


def test_what_is_no_result_is_named(tmp_path):
    with pytest.raises(SurfposeError, match="no results"):
        page.run(tmp_path, tmp_path / "page.md", progress=silent)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SurfposeError, match=r"x\.json: no benchmark results"):
        page.run(tmp_path, tmp_path / "page.md", progress=silent)
    assert not (tmp_path / "page.md").exists()
