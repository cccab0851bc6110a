"""The ways that ours is compared with, each on a case whose answer is known."""

import math

import numpy as np
import pytest
import torch
import trimesh
from torch.nn.functional import normalize

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.category.augment import Augmentation, Augmenter
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.model import CategoryInfo, CategoryModel
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import Template
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.views import SIZE, TrainingViews
from surfpose_ros.evaluation.ways.pnp import dense_matches, solve
from surfpose_ros.evaluation.ways.regression import (
    Regression,
    rotation_from_six,
    rotation_loss,
    train_regression,
)
from surfpose_ros.evaluation.ways.render_and_compare import (
    RenderAndCompare,
    barycentric,
    starting_rotations,
)
from surfpose_ros.evaluation.ways.retrieval import Retrieval
from surfpose_ros.evaluation.ways.way import as_estimator, turn_to
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.geometry.rotations import camera_from_object_views, random_rotations, rotation_angle
from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.crop import CropSearch
from surfpose_ros.pose.scoring import log_likelihoods

CAMERA = Camera(np.array([[62.0, 0, 13.5], [0, 62.0, 13.5], [0, 0, 1]]), 28, 28)
SQUARE = (54.0, 54.0, 180.0, 180.0)  # box of what painted views show, as stored views have it
INTRINSICS = torch.from_numpy(CAMERA.matrix).float()


def boot() -> Mesh:
    sole = trimesh.creation.box((1.0, 0.4, 0.2))
    shaft = trimesh.creation.box(
        (0.4, 0.4, 0.6), trimesh.transformations.translation_matrix((-0.3, 0, 0.4))
    )
    return mesh_from_trimesh(trimesh.util.concatenate([sole, shaft]).convex_hull.subdivide().subdivide())


@pytest.fixture(scope="module")
def model() -> CategoryModel:
    """Neighbours on the boot have features alike, as learnt ones have; the network itself is untrained."""
    mesh = mesh_from_trimesh(boot().trimesh().subdivide())
    centred = mesh.vertices - (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    template = Template(Mesh(centred / np.float32(mesh.diagonal), mesh.faces), np.full(3, 0.02))
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(3, 64, generator=generator) * 14
    vertex = normalize((torch.from_numpy(template.mesh.vertices) @ waves + torch.arange(64)).cos(), dim=-1)
    clutter = normalize(torch.randn(2, 64, generator=generator), dim=-1)
    network = CategoryNetwork(load_backbone(), 64).eval().requires_grad_(False)
    info = CategoryInfo("boot", "mobilenet_v2", "", 224, None, [0.02] * 3, axes={"up": "known"})
    return CategoryModel(info, template, network, vertex, clutter)


def view(azimuth_deg: float, elevation_deg: float, roll_deg: float) -> np.ndarray:
    angles = (torch.tensor(math.radians(a)) for a in (azimuth_deg, elevation_deg, roll_deg))
    pose = np.eye(4)
    pose[:3, :3] = camera_from_object_views(*angles).numpy()
    pose[:3, 3] = (0.02, -0.03, 2.5)
    return pose


def perfect_map(model: CategoryModel, pose: np.ndarray) -> torch.Tensor:
    """Features ``(D, h, w)`` as a perfect network would give them: each cell those of what it shows."""
    points, faces = RayCaster(model.template.mesh).surface_map(pose, CAMERA)
    vertices = torch.from_numpy(model.template.mesh.vertices)
    nearest = torch.cdist(torch.from_numpy(points).flatten(0, 1), vertices).argmin(dim=-1)
    cells = model.vertex_features[nearest].unflatten(0, points.shape[:2])
    cells[torch.from_numpy(faces) < 0] = model.clutter_features[0]
    return cells.permute(2, 0, 1)


def outline(model: CategoryModel, pose: np.ndarray) -> torch.Tensor:
    seen = model.template.mesh.vertices @ pose[:3, :3].T + pose[:3, 3]
    cells = (seen @ CAMERA.matrix.T)[:, :2] / seen[:, 2:]
    return torch.from_numpy(np.concatenate([cells.min(axis=0), cells.max(axis=0)])).float()


def degrees(found: torch.Tensor, pose: np.ndarray) -> float:
    return math.degrees(rotation_angle(found.double(), torch.from_numpy(pose[:3, :3])))


def test_pnp_recovers_a_pose_from_perfect_correspondences_among_wrong_ones(model):
    pose = view(140, 25, 10)
    points = model.template.mesh.vertices.astype(np.float64)
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    cells = (seen @ CAMERA.matrix.T)[:, :2] / seen[:, 2:]
    cells[::4] = np.random.default_rng(0).uniform(0, 27, cells[::4].shape)
    assert degrees(solve(points, cells, CAMERA.matrix), pose) < 1.0


def test_pnp_finds_nothing_in_five_correspondences(model):
    assert solve(model.template.mesh.vertices[:5], np.zeros((5, 2)), CAMERA.matrix) is None


@pytest.mark.parametrize("angles", [(30, 20, 0), (200, 45, 10), (300, 5, -20)])
def test_matches_of_a_perfect_map_lie_on_the_object_and_give_its_pose(model, angles):
    pose = view(*angles)
    features = perfect_map(model, pose)
    vertices, cells = dense_matches(log_likelihoods(model, features[None])[0])
    points, faces = RayCaster(model.template.mesh).surface_map(pose, CAMERA)
    assert len(cells) == (faces >= 0).sum()
    shown = points[cells[:, 1], cells[:, 0]]
    assert np.linalg.norm(model.template.mesh.vertices[vertices] - shown, axis=1).max() < 0.12
    rotation = solve(model.template.mesh.vertices[vertices], cells.numpy(), CAMERA.matrix)
    assert degrees(rotation, pose) < 12


def test_coarse_search_gives_starts_that_refinement_improves(model):
    search, errors = CropSearch(model), []
    for azimuth in range(15, 360, 45):
        pose = view(azimuth, 20, 5)
        features, box = perfect_map(model, pose), outline(model, pose)
        explained = log_likelihoods(model, features[None])
        coarse = search.starts(explained, INTRINSICS[None], box[None]).rotation[0]
        refined = search(features, INTRINSICS, box).hypotheses.rotation[0]
        errors.append((degrees(coarse, pose), degrees(refined, pose)))
    assert np.median([coarse for coarse, _ in errors]) < 15
    assert all(refined < coarse for coarse, refined in errors)


def test_the_reference_way_improves_from_its_starts(model):
    reference, errors = RenderAndCompare(model), []
    for angles in [(42, 20, 8), (100, 12, -10), (160, 30, 5), (228, 40, 12), (300, 15, -5)]:
        pose = view(*angles)
        nearest = min(degrees(start, pose) for start in starting_rotations())
        found, _ = reference.search(perfect_map(model, pose), INTRINSICS, outline(model, pose))
        errors.append((degrees(found, pose), nearest))
    assert all(found < 0.6 * nearest for found, nearest in errors), errors
    assert np.median([found for found, _ in errors]) < 6
    assert len(reference.rendering) == len(errors)


def test_the_reference_way_scores_a_pose_by_what_is_rendered_there(model):
    reference, pose = RenderAndCompare(model), view(42, 20, 8)
    reference.rendering.append(0.0)
    features = perfect_map(model, pose)
    poses = [
        (torch.from_numpy(p[:3, :3]).float(), torch.from_numpy(p[:3, 3]).float())
        for p in (pose, view(60, 20, 8), view(222, 20, 8))
    ]
    right, near, flipped = reference.scores(features, INTRINSICS, poses)
    assert right > 0.94 and right > near > flipped


def test_the_reference_way_starts_from_144_different_rotations():
    starts = starting_rotations().double()
    apart = rotation_angle(starts[:, None], starts[None]) + 10 * torch.eye(144)
    assert len(starts) == 144 and apart.min() > math.radians(14)


def test_barycentric_weights_make_the_points_again():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(20, 3, 3, generator=generator)
    weights = torch.rand(20, 3, generator=generator)
    weights = weights / weights.sum(dim=1, keepdim=True)
    points = (weights[..., None] * corners).sum(dim=1)
    assert torch.allclose(barycentric(points, corners), weights, atol=1e-3)


def painted_views(count: int) -> TrainingViews:
    """Views of a square whose four quarters have other colours in each view, and random rotations."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randint(256, (count, 3, 2, 2), generator=generator, dtype=torch.uint8)
    images = torch.full((count, 3, SIZE, SIZE), 128, dtype=torch.uint8)
    images[..., 54:-54, 54:-54] = colours.repeat_interleave(90, 2).repeat_interleave(90, 3)
    masks = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    masks[..., 54:-54, 54:-54] = 255
    labels = torch.where(masks[..., ::2, ::2] > 0, 0, CLUTTER).short()
    rotations = random_rotations(count, generator).float()
    return TrainingViews(images, masks, labels, rotations, torch.arange(count) % 2)


def test_retrieval_finds_the_very_view(model):
    views = painted_views(6)
    retrieval = Retrieval(model, views)
    for index in range(6):
        image = views.images[index].permute(1, 2, 0).contiguous().numpy()
        image = np.pad(image, ((10, 0), (30, 0), (0, 0)), constant_values=90)
        moved = (SQUARE[0] + 30, SQUARE[1] + 10, SQUARE[2], SQUARE[3])
        assert retrieval.nearest(image, None, moved) == index
        assert torch.equal(retrieval(image, None, moved), views.rotations[index])


def test_regression_learns_a_handful_of_views():
    views = painted_views(4)
    plain = Augmentation(
        scale=0.0, aspect=0.0, shift=0.0, roll_deg=0.0, far=0.0, occlude=0.0, patches=0.0, absent=0.0,
        colour=0.0, keep_background=1.0, any_hue=0.0, tone=0.0, filter=0.0, cut=0.0,
    )  # fmt: skip
    settings = TrainSettings(steps=150, batch=8, input_size=64, augmentation=plain)
    losses = []
    network = train_regression(
        views,
        Symmetry(),
        settings,
        torch.device("cpu"),
        lambda *told: losses.append(float(told[3].split()[1])),
    )
    regression = Regression(network, 64)
    images = views.images.permute(0, 2, 3, 1).contiguous().numpy()
    found = torch.stack([regression(image, None, SQUARE) for image in images])
    assert losses[-1] < 0.2 * losses[0]
    errors = rotation_angle(found[:, None], views.rotations).rad2deg()
    assert errors.argmin(dim=1).tolist() == [0, 1, 2, 3] and errors.diagonal().mean() < 30


def test_six_numbers_of_a_rotation_give_it_back():
    rotations = random_rotations(10, torch.Generator().manual_seed(0))
    six = rotations[..., :2].transpose(-1, -2).flatten(1) * 3.0
    assert torch.allclose(rotation_from_six(six), rotations)


def test_turns_that_change_nothing_cost_nothing_in_regression():
    turns = Symmetry(CONTINUOUS).rotations()
    truth = random_rotations(5, torch.Generator().manual_seed(0))
    found = truth @ turns[7]
    told = torch.tensor([True, True, True, True, False])
    assert rotation_loss(found, truth, turns, told) < 1e-12
    assert rotation_loss(found, truth, turns[:1], told) > 0.5


def test_pictures_turn_by_the_rolls_that_they_are_said_to_turn_by():
    turning = Augmentation(
        roll_deg=180.0,
        occlude=0.0,
        patches=0.0,
        absent=0.0,
        colour=0.0,
        far=0.0,
        shift=0.0,
        aspect=0.0,
        tone=0.0,
        filter=0.0,
        cut=0.0,
    )
    views = painted_views(8)
    views.images[:] = 0
    views.images[:, :, 100:188, 188:] = 255  # white at the right: some pictures lose their colour
    views.masks[:] = 255
    augment = Augmenter(turning, 64, 8, torch.Generator().manual_seed(0), make_distractors(0, 4))
    images, *_, rolls = augment(views)
    ticks = torch.arange(64) - 31.5
    within = ticks**2 + ticks[:, None] ** 2 < 31**2  # beyond, a turned view shows what was put behind it
    white = (images[:, 0] > 0.5).float() * within
    x, y = (white * ticks).sum(dim=(1, 2)), (white * ticks[:, None]).sum(dim=(1, 2))
    off = torch.atan2(y, x) - rolls
    assert torch.atan2(off.sin(), off.cos()).abs().max() < 0.1


def test_a_rotation_seen_aside_is_turned_towards_its_box():
    camera = Camera(np.array([[100.0, 0, 49.5], [0, 100.0, 49.5], [0, 0, 1]]), 100, 100)
    turned = turn_to(camera, (95.0, 45.0, 10.0, 10.0))
    assert torch.allclose(turned[:, 2], normalize(torch.tensor([0.5, 0.0, 1.0]), dim=0), atol=1e-5)
    assert torch.equal(turn_to(None, (95.0, 45.0, 10.0, 10.0)), torch.eye(3))


def test_a_way_that_finds_nothing_gives_no_detection_and_says_so():
    image = np.zeros((40, 40, 3), np.uint8)
    result = as_estimator(lambda *_: None, "boot")(image, None, np.array([[5.0, 5, 20, 20]]))
    assert not result.detections and result.reason
    found = as_estimator(lambda *_: torch.eye(3), "boot")(image, None, np.array([[5.0, 5, 20, 20]]))
    assert len(found.detections) == 1 and not found.detections[0].metric
