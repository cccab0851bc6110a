import numpy as np
import pytest
import torch
import trimesh

from surfpose_ros.evaluation.surfaces_benchmark import chamfer_percent, rotation_errors_deg, run
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.geometry.rotations import random_rotations


def test_the_distance_of_a_surface_to_itself_grown_is_what_it_grew_by():
    ball = trimesh.creation.icosphere(subdivisions=4)
    inside = ball.copy()
    inside.apply_scale(0.3)  # which nobody sees, so that it must not count
    true = mesh_from_trimesh(trimesh.util.concatenate([ball, inside]))
    grown = ball.copy()
    grown.apply_scale(1.1)
    assert chamfer_percent(mesh_from_trimesh(grown), true) == pytest.approx(10 / np.sqrt(12), rel=0.05)
    assert chamfer_percent(mesh_from_trimesh(ball), true) < 0.6


def test_rotation_errors_leave_out_the_turn_of_the_whole_video_only_where_asked():
    generator = torch.Generator().manual_seed(0)
    true = random_rotations(20, generator).double()
    turned = true @ random_rotations(1, generator).double()
    assert rotation_errors_deg(turned.numpy(), true.numpy(), same_frame=False).max() < 1e-3
    assert np.ptp(rotation_errors_deg(turned.numpy(), true.numpy(), same_frame=True)) < 1e-3
    assert rotation_errors_deg(turned.numpy(), true.numpy(), same_frame=True).min() > 1


def test_a_box_meets_the_targets_and_the_figures_are_the_same_twice(tmp_path):
    box = trimesh.creation.box([0.5, 0.35, 0.3])
    box.visual.face_colors = np.random.default_rng(0).integers(40, 250, (12, 3))
    box.export(tmp_path / "box.ply")
    first, second = (
        run([tmp_path / "box.ply"], views=24, board="grid", with_sfm=False, seed=1).figures["meshes"][0]
        for _ in range(2)
    )
    for figures in (first, second):
        assert figures.pop("seconds") > 0
    assert first == second
    assert first["failed"] == {}
    assert first["mask_iou"] > 0.95
    assert first["board_deg"] < 0.5
    assert first["chamfer_percent"] < 2
