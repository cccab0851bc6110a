import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.occlusion import cover_box, cover_samples
from surfpose_ros.evaluation.samples import PoseSample

WHITE, BLACK = np.full((90, 120, 3), 255, np.uint8), np.zeros((30, 30, 3), np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(0, 60), st.floats(0, 40), st.floats(20, 60), st.floats(20, 50)),
    st.sampled_from([(0.2, 0.4), (0.4, 0.6), (0.6, 0.8)]),
    st.integers(0, 1000),
)
def test_the_wanted_share_of_the_box_is_covered_and_nothing_outside_it(box, cover, seed):
    covered = cover_box(WHITE, box, cover, BLACK, np.random.default_rng(seed))
    left, top, right, bottom = int(box[0]), int(box[1]), round(box[0] + box[2]), round(box[1] + box[3])
    black = covered[..., 0] == 0
    inside = black[top:bottom, left:right]
    assert cover[0] <= inside.mean() <= cover[1]
    assert black.sum() == inside.sum()


def test_a_sample_is_covered_alike_every_time_and_differently_from_the_next(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), BLACK)
    cv2.imwrite(str(tmp_path / "white.png"), WHITE)
    samples = [PoseSample(name, tmp_path / "white.png", np.eye(3)) for name in ("one", "two")]
    one, two = cover_samples(samples, (0.2, 0.4), photos)
    assert np.array_equal(one.read()[0], one.read()[0])
    assert not np.array_equal(one.read()[0], two.read()[0])


@pytest.mark.parametrize("cover", [(0.4, 0.2), (-0.1, 0.2), (0.5, 1.5)])
def test_shares_that_are_none_are_refused(tmp_path, cover):
    with pytest.raises(SurfposeError, match="shares rise"):
        cover_samples([], cover, tmp_path)


def test_a_folder_without_photos_is_named(tmp_path):
    with pytest.raises(SurfposeError, match="no photos"):
        cover_samples([], (0.2, 0.4), tmp_path)
