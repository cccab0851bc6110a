"""PyTorch3D's rasteriser against the ray caster, and which of them is taken."""

import cv2
import numpy as np
import pytest
import torch
import trimesh

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.geometry.rasteriser import Rasteriser, rasteriser_problem
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.visibility import RayCaster, choose_backend, visibility_of
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.reconstruct import ReconstructSettings

PROBLEM = rasteriser_problem("cpu")
needs_pytorch3d = pytest.mark.skipif(PROBLEM is not None, reason=PROBLEM or "")
CAMERA = Camera(np.array([[310.0, 0, 74.0], [0, 300.0, 61.2], [0, 0, 1]]), 160, 120)
LARGE = Camera(np.array([[700.0, 0, 300.0], [0, 700.0, 250.0], [0, 0, 1]]), 640, 480)


def knot() -> Mesh:
    """Two rings through each other: parts hide parts, and there are holes to see through."""
    ring = trimesh.creation.torus(1.0, 0.3, major_sections=24, minor_sections=12)
    other = ring.copy()
    other.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    other.apply_translation([1.0, 0, 0])
    return mesh_from_trimesh(trimesh.util.concatenate([ring, other]))


MESHES = {"sphere": mesh_from_trimesh(trimesh.creation.icosphere(subdivisions=3)), "knot": knot()}


def poses(scale: float = 1.0, count: int = 3) -> np.ndarray:
    """camera_from_mesh ``(N, 4, 4)`` from round about, the mesh beside the middle of the picture."""
    transforms = []
    for index in range(count):
        angles = torch.tensor([1.7 * index, 0.9 * np.sin(index + 0.5), 0.4 * index]).double()
        transform = np.eye(4)
        transform[:3, :3] = scale * camera_from_object_views(*angles).numpy()
        transform[:3, 3] = scale * np.array([0.3, -0.2, 9.0])
        transforms.append(transform)
    return np.stack(transforms)


def near_an_outline(mesh: Mesh, pose: np.ndarray, camera: Camera, reach: int = 1) -> np.ndarray:
    """Pixels ``(H, W)`` bool so near to a jump in depth of what the camera sees."""
    points, faces = RayCaster(mesh).surface_map(pose, camera)
    depth = np.where(faces < 0, 1e3 * mesh.diagonal, points @ pose[2, :3] + pose[2, 3]).astype(np.float32)
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    scale = np.cbrt(np.linalg.det(pose[:3, :3]))
    return cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > 0.05 * scale * mesh.diagonal


@needs_pytorch3d
@pytest.mark.parametrize(("name", "scale"), [("sphere", 1.0), ("knot", 0.01), ("knot", 100.0)])
def test_surface_maps_are_the_ray_casters_but_at_outlines(name, scale):
    mesh = MESHES[name]
    for pose in poses(scale):
        points, faces = Rasteriser(mesh).surface_map(pose, CAMERA)
        expected, expected_faces = RayCaster(mesh).surface_map(pose, CAMERA)
        inner = ~near_an_outline(mesh, pose, CAMERA)
        assert np.array_equal(faces[inner] < 0, expected_faces[inner] < 0)
        # On the edge between two faces either is right, and the point is the same.
        assert (faces == expected_faces)[inner].mean() > 0.995
        np.testing.assert_allclose(points[inner], expected[inner], atol=1e-3 * mesh.diagonal)


@needs_pytorch3d
@pytest.mark.parametrize(("name", "scale"), [("sphere", 1.0), ("knot", 0.01), ("knot", 100.0)])
def test_visible_vertices_are_the_ray_casters_but_at_outlines(name, scale):
    mesh, views = MESHES[name], poses(scale)
    cameras = [CAMERA, LARGE, CAMERA]
    found = Rasteriser(mesh).visible_in_views(views, cameras)
    expected = RayCaster(mesh).visible_in_views(views, cameras)
    assert expected.any(axis=1).all()
    assert (found == expected).mean() > 0.99
    for pose, camera, differ in zip(views, cameras, found != expected, strict=True):
        in_camera = mesh.vertices[differ] @ pose[:3, :3].T + pose[:3, 3]
        pixels = in_camera @ camera.matrix.T
        u, v = np.round(pixels[:, :2] / pixels[:, 2:]).astype(int).T
        assert near_an_outline(mesh, pose, camera)[v, u].all()


@needs_pytorch3d
def test_one_view_is_what_the_batch_says_of_it():
    mesh, views = MESHES["sphere"], poses(count=2)
    rasteriser = Rasteriser(mesh)
    batch = rasteriser.visible_in_views(views, [LARGE] * len(views))
    for pose, seen in zip(views, batch, strict=True):
        assert np.array_equal(rasteriser.visible_vertices(pose, LARGE), seen)


@needs_pytorch3d
def test_what_lies_outside_the_image_or_behind_the_camera_is_not_visible():
    rasteriser = Rasteriser(MESHES["sphere"])
    beside, behind = np.eye(4), np.eye(4)
    beside[:3, 3], behind[2, 3] = [10.0, 0, 8], -8.0
    assert not rasteriser.visible_in_views(np.stack([beside, behind]), [CAMERA] * 2).any()
    points, faces = rasteriser.surface_map(behind, CAMERA)
    assert (faces == -1).all()
    assert not points.any()


@needs_pytorch3d
def test_a_wall_that_reaches_behind_the_camera_still_hides_what_is_behind_it():
    small = np.array([[-0.1, -1, 5], [0.1, -1, 5], [0, -0.9, 5]])
    floor = np.array([[-50.0, -0.5, -50], [50, -0.5, -50], [0, -0.5, 50]])
    mesh = Mesh(np.concatenate([small, floor]).astype(np.float32), np.array([[0, 1, 2], [3, 4, 5]]))
    for visibility in (Rasteriser(mesh), RayCaster(mesh)):
        assert not visibility.visible_vertices(np.eye(4), CAMERA)[:3].any()


def test_the_cpu_casts_rays_and_a_gpu_without_pytorch3d_does_so_too():
    assert isinstance(visibility_of(MESHES["sphere"]), RayCaster)
    expected = "embree" if rasteriser_problem("cuda") else "pytorch3d"
    assert choose_backend("auto", "cuda") == expected


@needs_pytorch3d
def test_the_rasteriser_is_there_by_name():
    assert isinstance(visibility_of(MESHES["sphere"], "pytorch3d"), Rasteriser)


@pytest.mark.skipif(PROBLEM is None, reason="PyTorch3D is installed")
def test_asked_for_by_name_where_it_is_not_it_says_how_to_get_it(tmp_path):
    settings = ReconstructSettings(visibility="pytorch3d")
    with pytest.raises(SurfposeError, match=r"PyTorch3D cannot be imported .* docs/dependencies\.md"):
        reconstruct_captures([tmp_path], tmp_path / "out", settings)
