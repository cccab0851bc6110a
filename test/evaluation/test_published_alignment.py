import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.published_alignment import pair_errors, run
from surfpose_ros.geometry.rotations import random_rotations
from surfpose_ros.progress import silent


def test_the_released_alignments_score_as_the_data_says(shared_data):
    figures = run(shared_data / "co3d_alignments" / "published.npz", silent).figures
    for variant, acc15, acc30, median in (
        ("dinov2s", 0.618, 0.766, 11.1),
        ("dinov2b_ref", 0.698, 0.793, 8.9),
    ):
        assert round(figures[variant]["acc15"], 3) == acc15
        assert round(figures[variant]["acc30"], 3) == acc30
        assert round(figures[variant]["median_deg"], 1) == median


def test_a_common_turn_of_all_videos_is_no_error_and_categories_are_not_mixed():
    rotations = random_rotations(4).numpy()
    turn = random_rotations(1).numpy()[0]
    labels = dict(zip(("cup/a", "cup/b", "tv/a", "tv/b"), rotations, strict=True))
    errors = pair_errors({key: turn @ rotation for key, rotation in labels.items()}, labels)
    assert {category: len(values) for category, values in errors.items()} == {"cup": 1, "tv": 1}
    assert np.allclose([*errors["cup"], *errors["tv"]], 0, atol=1e-5)


def test_a_file_without_labels_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", other=np.zeros(3))
    with pytest.raises(SurfposeError, match="no labels"):
        run(tmp_path / "a.npz", silent)
