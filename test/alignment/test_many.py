import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from surfpose_ros.alignment.alignment import read_alignment, write_alignment
from surfpose_ros.alignment.canonical import relabelling, same_way_round, turned_as_asked
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.metrics import rotation_error

FAST = AlignmentSettings(samples=200, refine_steps=15, joint_steps=30, field_size=32)


def pair_errors(alignment, surfaces, frames):
    """Angle in degrees between the true and the aligned relative rotation of every aligned pair."""
    rotations = []
    for surface, video_from_canonical in zip(surfaces, frames, strict=True):
        if surface.name in alignment.canonical_from_video:
            linear = (alignment.canonical_from_video[surface.name] @ video_from_canonical)[:3, :3]
            rotations.append(linear / np.cbrt(np.linalg.det(linear)))
    return np.array([rotation_error(a, b) for a, b in combinations(rotations, 2)])


@pytest.fixture(scope="module")
def aligned(six_bodies):
    return align_surfaces(six_bodies[0], FAST)


def test_objects_in_random_frames_come_to_stand_alike(aligned, six_bodies):
    assert pair_errors(aligned, *six_bodies).max() < 5


def test_the_medoid_alone_brings_them_together_too(six_bodies):
    aligned = align_surfaces(six_bodies[0], replace(FAST, reference="medoid"))
    assert pair_errors(aligned, *six_bodies).max() < 8


def test_the_canonical_frame_has_z_up_and_unit_mean_diagonal_about_the_origin(aligned, six_bodies):
    surfaces, _ = six_bodies
    moved = [s.mesh.transformed(aligned.canonical_from_video[s.name]) for s in surfaces]
    assert np.mean([mesh.diagonal for mesh in moved]) == pytest.approx(1, abs=1e-5)
    centres = [(mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2 for mesh in moved]
    assert np.abs(np.mean(centres, axis=0)).max() < 1e-5
    ups = [aligned.canonical_from_video[s.name][:3, :3] @ s.up for s in surfaces]
    mean = np.mean([up / np.linalg.norm(up) for up in ups], axis=0)
    assert mean[2] / np.linalg.norm(mean) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("front", "up"), [("-x", "+z"), ("+y", "+z"), ("-z", "+x")])
def test_axes_stay_where_an_older_alignment_of_other_videos_had_them(aligned, front, up):
    names = sorted(aligned.canonical_from_video)
    older = turned_as_asked(aligned, front, up)
    older = replace(older, canonical_from_video={n: older.canonical_from_video[n] for n in names[:3]})
    newer = replace(aligned, canonical_from_video={n: aligned.canonical_from_video[n] for n in names[1:]})
    again = same_way_round(newer, older)
    for name in names[1:]:
        expected = relabelling(front, up) @ aligned.canonical_from_video[name][:3]
        assert again.canonical_from_video[name][:3] == pytest.approx(expected, abs=1e-9)
    assert again.axes["front"] == f"{front}, as asked"
    assert turned_as_asked(again, front, up) is again


def test_one_seed_gives_one_result_and_it_survives_its_file(aligned, six_bodies, tmp_path):
    again = align_surfaces(six_bodies[0], FAST)
    write_alignment(tmp_path / "a.json", aligned)
    write_alignment(tmp_path / "b.json", again)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    read = read_alignment(tmp_path / "a.json")
    assert read.pairs == aligned.pairs
    assert all(
        (read.canonical_from_video[name] == pose).all()
        for name, pose in aligned.canonical_from_video.items()
    )


def test_an_alignment_cut_in_the_middle_is_refused(aligned, tmp_path):
    path = tmp_path / "a.json"
    write_alignment(path, aligned)
    path.write_text(path.read_text()[:500])
    with pytest.raises(SurfposeError, match="cannot be read as the alignment"):
        read_alignment(path)


def test_an_alignment_with_a_number_beyond_measure_is_refused(aligned, tmp_path):
    path = tmp_path / "a.json"
    write_alignment(path, aligned)
    name = next(iter(aligned.confidence))
    content = json.loads(path.read_text())
    content["confidence"][name] = 10**400
    path.write_text(json.dumps(content))
    with pytest.raises(SurfposeError, match="not a whole alignment"):
        read_alignment(path)


def test_one_surface_is_refused(six_bodies):
    with pytest.raises(SurfposeError, match="two videos"):
        align_surfaces(six_bodies[0][:1])


def test_features_that_are_not_finite_are_refused_by_name(six_bodies):
    surfaces = list(six_bodies[0])
    surfaces[2].features[5, 1, 3] = np.nan
    try:
        with pytest.raises(SurfposeError, match=r"object02.*not finite"):
            align_surfaces(surfaces)
    finally:
        surfaces[2].features[5, 1, 3] = 0


def test_relabelling_turns_every_pose_and_the_symmetry_axis(aligned):
    quarter = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=torch.float64).numpy()
    turned = aligned.relabelled(quarter, {"front": "+y"})
    name = next(iter(aligned.canonical_from_video))
    assert np.allclose(turned.canonical_from_video[name][0], aligned.canonical_from_video[name][1])
    assert turned.axes["front"] == "+y"
