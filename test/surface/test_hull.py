import numpy as np
import pytest
import trimesh
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.surface import hull
from surfpose_ros.surface.hull import VoteField, best_level, bounding_cube, carve
from surfpose_ros.surface.meshing import coarse_mesh, mesh_problems, without_narrow_holes
from surfpose_ros.surface.silhouettes import mesh_silhouettes, overlaps, silhouette_views

from .rendered import render_video, ring_poses

RING = ring_poses(12, [0.0, 35.0]) + ring_poses(1, [89.0])


def chamfer(first, second) -> float:
    """Mean two-way distance of surface samples, in diagonals of the first."""
    samples = [trimesh.sample.sample_surface(mesh.trimesh(), 4000, seed=0)[0] for mesh in (first, second)]
    there = cKDTree(samples[1]).query(samples[0])[0].mean()
    back = cKDTree(samples[0]).query(samples[1])[0].mean()
    return (there + back) / 2 / first.diagonal


def hull_of(mesh, poses=RING, resolution=64):
    views = silhouette_views(render_video(mesh, poses).frames, 128)
    centre, half = bounding_cube(views)
    field = carve(views, centre - half, centre + half, resolution, softness=1.0)
    level, overlap = best_level(field, views.reduced(2))
    return field.mesh(level), overlap


def test_the_hull_of_an_ellipsoid_is_the_ellipsoid(ellipsoid):
    hull, overlap = hull_of(ellipsoid)
    assert overlap > 0.97
    assert chamfer(ellipsoid, hull) < 0.02
    assert hull.trimesh().volume == pytest.approx(ellipsoid.trimesh().volume, rel=0.1)


def test_the_bounding_cube_holds_the_object(ellipsoid):
    views = silhouette_views(render_video(ellipsoid, RING).frames, 128)
    centre, half = bounding_cube(views)
    assert np.abs(ellipsoid.vertices - centre).max() <= half


def test_thin_legs_survive_when_some_views_are_a_little_wrong(table):
    poses = [pose.copy() for pose in RING]
    generator = np.random.default_rng(0)
    for pose in poses:
        pose[:2, 3] += generator.normal(0, 0.008, 2)
    video = render_video(table, RING)
    frames = [
        type(frame)(frame.name, frame.stamp, frame.image, frame.camera, frame.mask, pose)
        for frame, pose in zip(video.frames, poses, strict=True)
    ]
    views = silhouette_views(frames, 128)
    centre, half = bounding_cube(views)
    field = carve(views, centre - half, centre + half, 72, softness=1.0)
    level, _ = best_level(field, views.reduced(2))
    mesh = coarse_mesh(field.mesh(level), 500)
    feet = mesh.vertices[mesh.vertices[:, 2] < -0.15]
    corners = {(x > 0, y > 0) for x, y in feet[:, :2]}
    assert len(corners) == 4


def test_a_leg_of_a_pixel_and_a_half_stays_in_the_hull_and_in_the_coarse_mesh():
    top = trimesh.creation.box((0.5, 0.5, 0.2))
    legs = [
        trimesh.creation.box((0.015, 0.015, 0.4), transform=trimesh.transformations.translation_matrix(at))
        for at in ((0.2, 0.2, -0.25), (-0.2, 0.2, -0.25), (0.2, -0.2, -0.25), (-0.2, -0.2, -0.25))
    ]
    # The rays see each part's own faces: parts that overlap are no trouble.
    stool = mesh_from_trimesh(trimesh.util.concatenate([top, *legs]))
    views = silhouette_views(render_video(stool, ring_poses(24, [0.0, 35.0])).frames, 256)
    centre, half = bounding_cube(views)
    field = carve(views, centre - half, centre + half, 160, softness=1.0)
    mesh = coarse_mesh(field.mesh(best_level(field, views.reduced(2))[0]), 500)
    feet = mesh.vertices[mesh.vertices[:, 2] < -0.35]
    assert len({(x > 0, y > 0) for x, y in feet[:, :2]}) == 4
    assert not mesh_problems(mesh)


def test_a_plane_under_the_object_cuts_off_what_the_views_from_above_leave_below(ellipsoid):
    views = silhouette_views(render_video(ellipsoid, ring_poses(16, [35.0])).frames, 128)
    centre, half = bounding_cube(views)
    field = carve(views, centre - half, centre + half, 64, softness=1.0)
    level, _ = best_level(field, views.reduced(2))
    up, floor = np.array([0.0, 0.0, 1.0]), float(ellipsoid.vertices[:, 2].min())
    assert field.mesh(level).vertices[:, 2].min() < floor - 0.02
    assert field.above(up, floor).mesh(level).vertices[:, 2].min() == pytest.approx(
        floor, abs=field.spacing
    )


def test_the_silhouettes_of_the_true_mesh_overlap_the_masks(ellipsoid):
    views = silhouette_views(render_video(ellipsoid, RING).frames, 128)
    assert overlaps(mesh_silhouettes(ellipsoid, views), views).min() > 0.97


@pytest.fixture
def elsewhere(monkeypatch) -> str:
    """What takes the place of a GPU: the CPU, asked to do what a GPU does."""
    monkeypatch.setattr(hull, "on_gpu", lambda device: device == "cpu:0")
    return "cpu:0"


def test_a_gpu_carves_and_chooses_as_the_cpu_does(table, ellipsoid, elsewhere):
    for shape in (table, ellipsoid):
        views = silhouette_views(render_video(shape, RING).frames, 128)
        centre, half = bounding_cube(views)
        box = centre - half, centre + half
        field = carve(views, *box, 56, softness=1.0)
        other = carve(views, *box, 56, softness=1.0, device=elsewhere)
        # OpenCV looks maps up at 32nds of a pixel.
        assert np.abs(other.votes - field.votes).max() < 0.02
        level, overlap = best_level(field, views.reduced(2))
        found, _ = best_level(field, views.reduced(2), device=elsewhere)
        achieved = overlaps(mesh_silhouettes(field.mesh(found), views.reduced(2)), views.reduced(2)).mean()
        assert abs(found - level) < 0.04
        assert achieved > overlap - 0.005


def test_the_level_of_a_long_video_is_found_from_some_of_its_views(ellipsoid, monkeypatch):
    views = silhouette_views(render_video(ellipsoid, RING).frames, 128)
    centre, half = bounding_cube(views)
    field = carve(views, centre - half, centre + half, 48, softness=1.0)
    level, overlap = best_level(field, views)
    monkeypatch.setattr(hull, "LEVEL_VIEWS", 9)
    fewer, theirs = best_level(field, views)
    assert fewer == pytest.approx(level, abs=0.03)
    assert theirs == pytest.approx(overlap, abs=0.01)


def test_votes_that_never_agree_are_an_error_not_an_empty_mesh():
    with pytest.raises(SurfposeError, match="no common hull"):
        VoteField(np.zeros((4, 4, 4), np.float32), np.zeros(3), 1.0).mesh(0.5)


def test_simplified_meshes_are_closed_manifold_and_small(table, ellipsoid):
    for shape in (table, ellipsoid):
        mesh = coarse_mesh(hull_of(shape)[0], 300)
        assert len(mesh.vertices) <= 300
        assert mesh_problems(mesh) == []
        assert mesh.trimesh().volume > 0


def test_two_cones_that_meet_in_a_vertex_are_not_vertex_manifold():
    first = trimesh.creation.box([1, 1, 1])
    second = first.copy()
    second.apply_translation([1, 1, 1])
    joined = trimesh.util.concatenate([first, second])
    joined.merge_vertices()
    assert mesh_problems(mesh_from_trimesh(first)) == []
    assert "not vertex-manifold" in mesh_problems(mesh_from_trimesh(joined))


def test_narrow_holes_are_filled_and_the_rest_keeps_its_size():
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(60, 60, 40)), 1.5)
    sponge = np.pad((noise > np.quantile(noise, 0.3)).astype(np.float32), 2)
    vertices, faces, _, _ = marching_cubes(sponge, 0.5, gradient_direction="ascent")
    pieces = trimesh.Trimesh(vertices, faces).split()
    solid = max(pieces, key=lambda piece: abs(piece.volume))
    filled = without_narrow_holes(solid)
    assert solid.euler_number < -100  # two less for every hole
    assert filled.is_watertight
    assert filled.euler_number > -20
    np.testing.assert_allclose(filled.extents, solid.extents, atol=2)
