from dataclasses import replace

import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.samples import samples_from_labels
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scene_set import simulate_scenes
from surfpose_ros.simulation.scenes import SceneSettings, make_scene
from surfpose_ros.video.labels import read_labels
from surfpose_ros.video.pictures import read_mask

SMALL = SceneSettings(width=160, height=120)


@pytest.mark.parametrize("seed", range(4))
def test_box_mask_and_visible_share_agree_with_the_pose(seed):
    mug = make_object("mug", seed)
    scene = make_scene(mug, seed, SMALL)
    whole = RayCaster(mug.mesh.mesh()).surface_map(scene.camera_from_object, scene.camera)[1] >= 0
    assert (scene.mask & ~whole).sum() <= 0.02 * whole.sum()
    assert scene.visible == pytest.approx(scene.mask.sum() / whole.sum(), abs=0.05)
    assert scene.visible >= 1 - SMALL.hidden
    rows, columns = np.nonzero(whole)
    x, y, width, height = scene.box
    assert abs(x - columns.min()) <= 1
    assert abs(y - rows.min()) <= 1
    assert abs(x + width - 1 - columns.max()) <= 1
    assert abs(y + height - 1 - rows.max()) <= 1


def test_a_scene_follows_from_its_seed():
    mug = make_object("mug", 0)
    first, again, other = (make_scene(mug, seed, SMALL) for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_scenes_are_written_as_labels_that_read_back(tmp_path):
    path = simulate_scenes(
        [lambda: make_object("mug", 7)], tmp_path, 2, seed=3, settings=SMALL, size_spread=0.2
    )
    rows = read_labels(path, tmp_path)
    assert [row.category for row in rows] == ["mug", "mug"]
    for row in rows:
        assert row.translation is not None
        assert row.translation[2] > 0
        assert row.mask is not None
        assert read_mask(row.mask).any()
        assert row.intrinsics is not None
    assert np.linalg.norm(rows[0].rotation - rows[1].rotation) > 0.01


def test_depth_of_a_scene_is_written_where_asked_and_read_back(tmp_path):
    path = simulate_scenes([lambda: make_object("mug", 7)], tmp_path, 1, seed=3, settings=SMALL, depth=True)
    (row,) = read_labels(path, tmp_path)
    (sample,) = samples_from_labels([row])
    assert row.mask is not None and row.translation is not None and row.size is not None
    on_mug = sample.read_depth()[read_mask(row.mask)]
    assert abs(np.median(on_mug) - row.translation[2]) < np.linalg.norm(row.size) / 2
    with pytest.raises(SurfposeError, match="has no depth picture"):
        replace(sample, depth=None).read_depth()
    with pytest.raises(SurfposeError, match="one channel of 16 bits"):
        replace(sample, depth=sample.path).read_depth()


def test_a_mug_whose_handle_points_away_does_not_show_its_front():
    shares = {}
    for seed in range(12):
        scene = make_scene(make_object("mug", seed), seed, SMALL)
        towards = -scene.camera_from_object[2, 0]  # cosine between the camera's axis and the handle
        shares[towards] = scene.front_seen
    assert max(shares.values()) > 0.05
    assert shares[min(shares)] < 0.02, "the handle furthest behind the mug is hidden"
    bottle = make_scene(make_object("bottle", 0), 0, SMALL)
    assert bottle.front_seen == 1
