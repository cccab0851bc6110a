"""`surfpose benchmark train` and `pose`, on three small mugs from recording to tables."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from surfpose_ros.category.model import load_category_model
from surfpose_ros.category.train_settings import PRESETS
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import pose_benchmark, train_benchmark
from surfpose_ros.evaluation.judging import boxed_samples, category_rows, paste, paste_samples
from surfpose_ros.evaluation.train_benchmark import make_splits
from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
from surfpose_ros.simulation.labels import LabelledImages
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import TurntableSettings

NAMES = [f"mug_{number}" for number in range(10)]


@pytest.fixture(scope="module")
def mugs(tmp_path_factory) -> Path:
    """Captures of three mugs, labelled pictures of all their frames, and two photos."""
    folder = tmp_path_factory.mktemp("mugs")
    labels = LabelledImages(folder / "pictures")
    options = CaptureOptions(views=24, turntable=TurntableSettings(width=160, height=120))
    makers = [partial(make_object, "mug", number) for number in range(3)]
    simulate_captures(makers, NAMES[:3], folder / "mug", 0, options, labels)
    labels.write()
    (folder / "photos").mkdir()
    for number in range(2):
        photo = np.random.default_rng(number).integers(0, 255, (90, 200, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), photo)
    return folder


def train(mugs: Path, work: Path, **options):
    labels, root = mugs / "pictures" / "labels.csv", mugs / "pictures"
    return train_benchmark.run(
        mugs / "mug", "mug", labels, work, root, preset="quick", limit=3, **{"test": 1, **options}
    )


@pytest.fixture(scope="module")
def trained(mugs):
    """A training of two steps, and the folder that it worked in."""
    short = replace(PRESETS["quick"], steps=2, batch=4, calibration=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", short)
        first = train(mugs, mugs / "work", backgrounds=mugs / "photos")
        return first, train(mugs, mugs / "work", backgrounds=mugs / "photos"), mugs / "work"


def test_held_out_objects_judge_a_model_that_never_saw_them(trained):
    figures, work = trained[0].figures, trained[2]
    (split,) = figures["splits"]
    assert sorted(split["train"] + split["test"]) == NAMES[:3] and len(split["test"]) == 1
    model = load_category_model(work / "split1_objects2" / "model")
    assert sorted(model.info.captures) == sorted(split["train"])
    assert not (work / "surfaces" / f"{split['test'][0]}.ply").exists()
    found = figures["objects"]["2"]
    assert found["n"] == 3 and found["kept"] == 2 and found["training_seconds"] > 0
    assert trained[0].tables[0].rows[0][0] == 2


def test_a_training_that_is_there_is_taken_with_the_time_it_took(trained):
    first, again, _ = trained
    times = [result.figures["objects"]["2"]["training_seconds"] for result in (first, again)]
    assert times[0] == times[1]


def test_every_way_answers_for_the_object_that_was_held_out(trained, mugs):
    held_out = trained[0].figures["splits"][0]["test"][0]
    result = pose_benchmark.run(
        trained[2] / "split1_objects2" / "model",
        mugs / "pictures" / "labels.csv",
        mugs / "pictures",
        captures=mugs / "mug",
        surfaces=trained[2] / "surfaces",
        axes_labels=mugs / "mug" / "truth.json",
        limit=3,
        steps=2,
        batch=4,
    )
    ways = result.figures["ways"]
    assert list(ways) == list(pose_benchmark.WAYS)
    assert all(way["n"] == 3 and 0 < way["median_seconds"] <= way["p99_seconds"] for way in ways.values())
    assert 0 < ways["render"]["ray_casting_seconds"] < ways["render"]["median_seconds"]
    model = load_category_model(trained[2] / "split1_objects2" / "model")
    labels, root = mugs / "pictures" / "labels.csv", mugs / "pictures"
    assert {row.video for row in pose_benchmark.unseen_rows(model, labels, root, [])} == {held_out}
    with pytest.raises(SurfposeError, match="no image of mug_9"):
        pose_benchmark.unseen_rows(model, labels, root, ["mug_9"])


def test_ways_and_what_they_need_are_asked_for(untrained_model, mugs):
    here = (mugs / "pictures" / "labels.csv", mugs / "pictures")
    with pytest.raises(SurfposeError, match="choose of ours, coarse"):
        pose_benchmark.run(untrained_model, *here, ways="ours,theirs")
    with pytest.raises(SurfposeError, match="no image of 'car'"):
        pose_benchmark.run(untrained_model, *here)


def test_splits_hold_out_every_object_once_while_there_are_some():
    splits = make_splits(NAMES, test=3, splits=3, seed=0)
    assert len({name for split in splits for name in split.test}) == 9
    for split in splits:
        assert sorted(split.train + split.test) == NAMES
    assert splits == make_splits(NAMES, test=3, splits=3, seed=0)
    assert splits != make_splits(NAMES, test=3, splits=3, seed=1)


def test_with_no_object_held_out_each_split_learns_in_another_order():
    first, second = make_splits(NAMES, test=0, splits=2, seed=0)
    assert first.test == second.test == ()
    assert first.train != second.train and sorted(first.train) == sorted(second.train)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": 0}, "what judges the models"),
        ({"test": 2}, "two at least"),
        ({"objects": "2,5"}, "5 is not from 2 to 2"),
        ({"objects": "two"}, "write numbers"),
    ],
)
def test_what_cannot_be_trained_or_judged_is_said(mugs, tmp_path, options, said):
    with pytest.raises(SurfposeError, match=said):
        train(mugs, tmp_path, **options)


def test_a_pasted_object_keeps_its_pixels_and_gets_the_photo_around_them():
    image = np.full((60, 80, 3), 200, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    photo = np.full((30, 90, 3), 10, np.uint8)
    pasted = paste(image, mask, photo, np.random.default_rng(0))
    assert (pasted[23:37, 33:57] == 200).all()
    assert (pasted[~cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)] == 10).all()
    assert 10 < pasted[20, 45, 0] < 200


def test_backgrounds_are_the_same_each_time_and_boxes_those_of_the_labels(mugs):
    rows = category_rows(mugs / "pictures" / "labels.csv", None, "mug")
    samples = paste_samples(rows[:2], mugs / "photos")
    first, _ = samples[0].read()
    assert np.array_equal(first, samples[0].read()[0])
    assert not np.array_equal(first, boxed_samples(rows[:1])[0].read()[0])
    assert [sample.box for sample in samples] == [row.box for row in rows[:2]]


def test_a_mask_gives_the_box_where_the_labels_have_none(mugs):
    rows = category_rows(mugs / "pictures" / "labels.csv", None, "mug")[:3]
    assert [s.box for s in boxed_samples([replace(row, box=None) for row in rows])] == [r.box for r in rows]


def test_objects_without_masks_and_folders_without_photos_are_refused(mugs, tmp_path):
    rows = category_rows(mugs / "pictures" / "labels.csv", None, "mug")[:1]
    with pytest.raises(SurfposeError, match="has no mask"):
        paste_samples([replace(rows[0], mask=None)], mugs / "photos")
    with pytest.raises(SurfposeError, match="no photos"):
        paste_samples(rows, tmp_path)
