"""What people will feed in: too little, too different, broken: aligned, set aside or refused by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh

from .synthetic import make_surface
from .test_many import FAST, pair_errors


def test_two_videos_are_enough(six_bodies):
    surfaces, frames = six_bodies
    aligned = align_surfaces(surfaces[:2], FAST)
    assert pair_errors(aligned, surfaces[:2], frames[:2]).max() < 8


def test_scales_a_thousand_times_apart_do_not_matter(six_bodies):
    surfaces, frames = six_bodies
    small, frame = make_surface(1, scale=1e-3)
    mixed = [surfaces[0], small, *surfaces[2:4]]
    aligned = align_surfaces(mixed, FAST)
    assert pair_errors(aligned, mixed, [frames[0], frame, *frames[2:4]]).max() < 8
    diagonals = [s.mesh.transformed(aligned.canonical_from_video[s.name]).diagonal for s in mixed]
    assert max(diagonals) / min(diagonals) < 1.3


def test_identical_videos_are_aligned_exactly(six_bodies):
    surface = six_bodies[0][0]
    twice = [replace(surface, name=name) for name in ("a", "b", "c")]
    aligned = align_surfaces(twice, FAST)
    poses = list(aligned.canonical_from_video.values())
    assert np.allclose(poses[0], poses[1], atol=0.02 * np.abs(poses[0]).max())


def test_a_video_that_looks_unlike_all_others_is_set_aside_and_named(six_bodies):
    stranger = replace(make_surface(50, category=1, name="stranger")[0], category="body")
    aligned = align_surfaces([*six_bodies[0], stranger], FAST)
    assert list(aligned.set_aside) == ["stranger"]
    assert "unlike" in aligned.set_aside["stranger"]
    assert pair_errors(aligned, *six_bodies).max() < 5


def test_a_video_recorded_as_another_category_is_set_aside_and_named(six_bodies):
    other = replace(six_bodies[0][3], category="teapot")
    surfaces = [*six_bodies[0][:3], other]
    assert align_surfaces(surfaces, FAST).set_aside == {
        "object03": "it is called a teapot, the others body"
    }


def test_a_mesh_of_twenty_vertices_among_others_is_aligned(six_bodies):
    surfaces, _ = six_bodies
    coarse = replace(
        surfaces[4],
        mesh=Mesh(*_decimated(surfaces[4].mesh, 20)),
        features=surfaces[4].features[:20],
        feature_valid=surfaces[4].feature_valid[:20],
    )
    aligned = align_surfaces([*surfaces[:3], coarse], FAST)
    assert set(aligned.canonical_from_video) | set(aligned.set_aside) == {
        "object00", "object01", "object02", "object04"
    }  # fmt: skip
    assert {"object00", "object01", "object02"} <= set(aligned.canonical_from_video)


def _decimated(mesh, count):
    solid = Mesh(mesh.vertices, mesh.faces).trimesh().convex_hull.simplify_quadric_decimation(face_count=36)
    return np.array(solid.vertices, np.float32)[:count], np.array(solid.faces)


def test_a_flat_mesh_and_a_nameless_difference_are_refused(six_bodies):
    first, second = six_bodies[0][:2]
    flat = replace(second, mesh=Mesh(second.mesh.vertices * np.float32([1, 1, 0]), second.mesh.faces))
    with pytest.raises(SurfposeError, match=r"object01.*one plane"):
        align_surfaces([first, flat], FAST)
    with pytest.raises(SurfposeError, match="two surfaces are called object00"):
        align_surfaces([first, first], FAST)


def test_features_of_different_backbones_are_refused(six_bodies):
    first, second = six_bodies[0][:2]
    with pytest.raises(SurfposeError, match="one backbone"):
        align_surfaces([first, replace(second, backbone="other")], FAST)


@pytest.mark.parametrize(
    "broken", [{"alpha": 1.5}, {"tau": 0.0}, {"mode": "sideways"}, {"saturation": -1.0}, {"samples": 0}]
)
def test_settings_that_make_no_sense_are_refused(broken):
    with pytest.raises(SurfposeError):
        AlignmentSettings(**broken)


def test_half_a_pool_of_fewer_views_does_not_break_the_set_distance(six_bodies):
    surfaces = list(six_bodies[0][:3])
    surfaces[1] = replace(
        surfaces[1], features=surfaces[1].features[:, :1], feature_valid=surfaces[1].feature_valid[:, :1]
    )
    aligned = align_surfaces(surfaces, replace(FAST, features="set"))
    assert torch.tensor([list(aligned.confidence.values())]).min() == 1
