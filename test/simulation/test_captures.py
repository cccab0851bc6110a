import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.simulation.captures import CaptureOptions, read_truth, simulate_captures
from surfpose_ros.simulation.labels import LabelledImages
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import TurntableSettings
from surfpose_ros.video.labels import read_labels
from surfpose_ros.video.reader import read_capture

SMALL = TurntableSettings(width=160, height=120)


def simulate(out, labels=None, **options):
    chosen = CaptureOptions(views=6, turntable=SMALL, **options)
    return simulate_captures([lambda: make_object("mug", 0)], ["mug_000"], out, 5, chosen, labels)[0]


def mean_masks(video):
    return [float(frame.mask.mean()) for frame in video.frames]


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"poses": "turntable"}])
def test_poses_read_back_agree_with_the_labels_through_the_truth(tmp_path, options):
    labels = LabelledImages(tmp_path / "labels")
    folder = simulate(tmp_path / "captures", labels, **options)
    rows = {row.image: row for row in read_labels(labels.write(), tmp_path / "labels")}
    video_from_object = read_truth(tmp_path / "captures")["mug_000"]
    scale = np.cbrt(np.linalg.det(video_from_object[:3, :3]))
    video = read_capture(folder)
    assert len(video.frames) == 6
    named = [frame for frame in video.frames if frame.name in rows]
    assert len(named) == 6
    for frame in named:
        camera_from_object = frame.camera_from_video @ video_from_object
        assert np.allclose(camera_from_object[:3, :3] / scale, rows[frame.name].rotation, atol=1e-5)
        assert np.allclose(camera_from_object[:3, 3] / scale, rows[frame.name].translation, atol=1e-5)


def test_the_frame_of_a_dataset_capture_is_its_own_and_a_turntables_is_metric(tmp_path):
    dataset = read_capture(simulate(tmp_path / "a"))
    assert not dataset.metric
    assert dataset.pose_source == "dataset"
    turntable = read_capture(simulate(tmp_path / "b", poses="turntable"))
    assert turntable.metric
    assert np.allclose(turntable.up, [0, 0, 1])


def test_masks_against_the_empty_turntable_are_those_of_the_truth(tmp_path):
    truth = read_capture(simulate(tmp_path / "a", poses="turntable"))
    found = read_capture(simulate(tmp_path / "b", poses="turntable", masks=False, background=True))
    for true, other in zip(truth.frames, found.frames, strict=True):
        assert (true.mask & other.mask).sum() / (true.mask | other.mask).sum() > 0.85


def test_a_capture_that_is_there_is_kept_and_one_of_other_options_made_again(tmp_path):
    folder = simulate(tmp_path)
    before = (folder / "mug_000.mcap").stat().st_mtime_ns
    simulate(tmp_path)
    assert (folder / "mug_000.mcap").stat().st_mtime_ns == before
    simulate(tmp_path, exact=True)
    assert (folder / "mug_000.mcap").stat().st_mtime_ns > before


def test_equal_seeds_give_equal_bags(tmp_path):
    first, again = simulate(tmp_path / "a"), simulate(tmp_path / "b")
    one, other = read_capture(first), read_capture(again)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one.frames, other.frames, strict=True))


def test_a_folder_that_was_not_simulated_is_left_alone(tmp_path):
    (tmp_path / "mug_000").mkdir()
    with pytest.raises(SurfposeError, match="not simulated"):
        simulate(tmp_path)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(SurfposeError, match="one of dataset, turntable, board, none"):
        CaptureOptions(poses="sfm")
    with pytest.raises(SurfposeError, match="elevations"):
        CaptureOptions(views=2)
