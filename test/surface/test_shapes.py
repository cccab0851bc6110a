"""Shapes that silhouettes alone do not give: the skin of a cloud, and depth that looks into a bowl."""

import dataclasses

import numpy as np
import pytest
import trimesh

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.alpha_shape import alpha_mesh
from surfpose_ros.surface.meshing import mesh_problems
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.video.reader import read_capture

from .rendered import render_video, ring_poses

SMALL = ReconstructSettings(max_vertices=500, resolution=64, image_size=128, views_kept=2)


def with_depth(video, mesh):
    caster = RayCaster(mesh)
    frames = []
    for frame in video.frames:
        points, faces = caster.surface_map(frame.camera_from_video, frame.camera)
        depth = (points @ frame.camera_from_video[2, :3] + frame.camera_from_video[2, 3]) * (faces >= 0)
        frames.append(dataclasses.replace(frame, depth=depth.astype(np.float32)))
    return dataclasses.replace(video, frames=frames)


@pytest.fixture(scope="module")
def bowl():
    """Half a hollow ball, open above: 0.8 across, its wall 0.08 thick."""
    angles = np.linspace(0, np.pi / 2, 16)
    arc = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    return mesh_from_trimesh(trimesh.creation.revolve(np.concatenate([0.4 * arc, 0.32 * arc[::-1]])))


def test_depth_shows_the_inside_of_a_bowl_and_the_hull_does_not(bowl):
    video = with_depth(render_video(bowl, ring_poses(12, [10.0, 40.0, 70.0]), metric=True), bowl)
    bottoms = {}
    for shape in ("hull", "auto"):
        surface = reconstruct(video, load_backbone(), dataclasses.replace(SMALL, shape=shape))
        assert mesh_problems(surface.mesh) == []
        middle = surface.mesh.vertices[np.linalg.norm(surface.mesh.vertices[:, :2], axis=1) < 0.12]
        bottoms[shape] = np.median(middle[middle[:, 2] > -0.37][:, 2]) if len(middle) else 0.0
        expected = "shape: depth" if shape == "auto" else "shape: hull"
        assert expected in surface.notes
    assert bottoms["auto"] == pytest.approx(-0.31, abs=0.04)
    assert bottoms["hull"] > -0.1


def test_depth_without_metric_poses_is_refused_where_asked_for_and_left_alone_where_not(bowl):
    video = with_depth(render_video(bowl, ring_poses(12, [10.0, 40.0])), bowl)
    with pytest.raises(SurfposeError, match=r"--shape depth needs depth images.*poses in metres"):
        reconstruct(video, load_backbone(), dataclasses.replace(SMALL, shape="depth"))
    assert "shape: hull" in reconstruct(video, load_backbone(), SMALL).notes


def test_the_skin_of_a_cloud_is_closed_and_tight():
    ball = trimesh.creation.icosphere(subdivisions=4)
    points = ball.vertices[::2] * [1.0, 0.6, 0.4]
    mesh = alpha_mesh(points + np.random.default_rng(0).normal(0, 0.002, points.shape))
    assert mesh_problems(mesh) == []
    assert mesh.trimesh().volume == pytest.approx(4 / 3 * np.pi * 0.24, rel=0.05)


def test_the_skin_follows_a_waist_that_the_convex_hull_spans():
    rng = np.random.default_rng(1)
    balls = [
        trimesh.sample.sample_surface(trimesh.creation.icosphere(3), 1500, seed=seed)[0] for seed in (0, 1)
    ]
    dumbbell = np.concatenate([balls[0] + [0.85, 0, 0], balls[1] - [0.85, 0, 0]])
    mesh = alpha_mesh(dumbbell + rng.normal(0, 0.002, dumbbell.shape))
    assert mesh_problems(mesh) == []
    assert mesh.trimesh().volume < 0.95 * mesh.trimesh().convex_hull.volume


def test_clouds_without_a_volume_are_refused():
    with pytest.raises(SurfposeError, match="needs 30 points"):
        alpha_mesh(np.zeros((3, 3)))
    flat = np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 0]
    with pytest.raises(SurfposeError, match="lie in a plane"):
        alpha_mesh(flat)


def test_an_alpha_shape_without_a_cloud_says_what_it_needs(ellipsoid):
    video = render_video(ellipsoid, ring_poses(12, [5.0, 40.0]))
    with pytest.raises(SurfposeError, match="needs the points of --poses sfm"):
        reconstruct(video, load_backbone(), dataclasses.replace(SMALL, shape="alpha"))
    surface = reconstruct(
        dataclasses.replace(video, cloud=ellipsoid.vertices),
        load_backbone(),
        dataclasses.replace(SMALL, shape="alpha"),
    )
    assert mesh_problems(surface.mesh) == []
    assert "shape: alpha shape" in surface.notes


def test_a_recorded_depth_topic_reaches_the_frames_in_metres(tmp_path):
    from functools import partial

    from surfpose_ros.simulation.captures import CaptureOptions, simulate_captures
    from surfpose_ros.simulation.objects import make_object
    from surfpose_ros.simulation.turntable import TurntableSettings

    table = TurntableSettings(width=160, height=120, elevations=(0.6,))
    options = CaptureOptions(views=3, poses="turntable", depth=True, turntable=table)
    folder = simulate_captures([partial(make_object, "mug", 0)], ["mug_000"], tmp_path, 0, options)[0]
    for frame in read_capture(folder).frames:
        distance = np.linalg.norm(frame.camera_from_video[:3, 3])
        on_object = frame.depth[frame.mask]
        assert np.median(on_object) == pytest.approx(distance, rel=0.2)
