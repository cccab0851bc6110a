"""The pose search on feature maps made from a known pose: every visible vertex names itself."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.template import Template
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views, random_rotations, rotation_angle
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.crop import CropSearch, SearchSettings
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator, check_box
from surfpose_ros.pose.looking import CropView, box_in_cells, look_at
from surfpose_ros.pose.on_gpu import GpuSearch
from surfpose_ros.pose.small_matrices import eliminate

CELLS = 28


def feature_map(model: CategoryModel, pose: np.ndarray, camera: Camera) -> torch.Tensor:
    """The map ``(D, h, w)`` that a perfect network would give."""
    points, faces = RayCaster(model.template.mesh).surface_map(pose, camera)
    vertices = torch.from_numpy(model.template.mesh.vertices)
    nearest = torch.cdist(torch.from_numpy(points).flatten(0, 1), vertices).argmin(dim=-1)
    cells = model.vertex_features[nearest].unflatten(0, points.shape[:2])
    cells[torch.from_numpy(faces) < 0] = model.clutter_features[0]
    return cells.permute(2, 0, 1)


def view(azimuth_deg: float, elevation_deg: float, roll_deg: float, shift=(0.0, 0.0)) -> np.ndarray:
    angles = (torch.tensor(math.radians(a)) for a in (azimuth_deg, elevation_deg, roll_deg))
    pose = np.eye(4)
    pose[:3, :3] = camera_from_object_views(*angles).numpy()
    pose[:3, 3] = (*shift, 2.5)
    return pose


CAMERA = Camera(np.array([[62.0, 0, 13.5], [0, 62.0, 13.5], [0, 0, 1]]), CELLS, CELLS)


@pytest.mark.parametrize("angles", [(30, 20, 0), (200, 45, 10), (110, -10, -20), (300, 5, 0)])
def test_a_known_view_is_found_within_a_few_degrees(model, search, angles):
    pose = view(*angles, shift=(0.05, -0.04))
    intrinsics = torch.from_numpy(CAMERA.matrix)
    found = search(feature_map(model, pose, CAMERA), intrinsics, None)
    truth = torch.from_numpy(pose[:3, :3]).float()
    assert math.degrees(rotation_angle(found.hypotheses.rotation[0], truth)) < 4
    assert np.allclose(found.hypotheses.translation[0].numpy(), pose[:3, 3], rtol=0.06, atol=0.03)


def test_hiding_half_of_the_object_moves_its_pose_little(model, search):
    pose = view(60, 20, 0)
    features = feature_map(model, pose, CAMERA)
    features[:, :, :12] = model.clutter_features[1][:, None, None]
    found = search(features, torch.from_numpy(CAMERA.matrix), None)
    truth = torch.from_numpy(pose[:3, :3]).float()
    assert math.degrees(rotation_angle(found.hypotheses.rotation[0], truth)) < 12


def test_where_a_crop_is_mute_its_mirror_image_speaks(model):
    mirrored = replace(model, info=replace(model.info, mirror=[0.0, 1.0, 0.0]))
    pose = view(60, 20, 0)
    features = feature_map(model, pose, CAMERA)
    # The same object mirrored: every vertex's partner, at the mirrored cell.
    search = CropSearch(mirrored)
    flipped = features_of(model, vertices_of(model, features).flip(-1), search.partner)
    mute = model.clutter_features[0][:, None, None].expand_as(features)
    found = search(mute, torch.from_numpy(CAMERA.matrix), None, flipped)
    truth = torch.from_numpy(pose[:3, :3]).float()
    assert math.degrees(rotation_angle(found.hypotheses.rotation[0], truth)) < 6


def vertices_of(model: CategoryModel, features: torch.Tensor) -> torch.Tensor:
    """The vertex that each cell shows, ``(h, w)``; -1 for clutter."""
    known = torch.cat([model.vertex_features, model.clutter_features[:1]])
    vertex = torch.einsum("nd,dhw->nhw", known, features).argmax(dim=0)
    return torch.where(vertex < len(model.vertex_features), vertex, -1)


def features_of(model: CategoryModel, vertices: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """The map of the vertices' partners, ``(D, h, w)``."""
    cells = model.vertex_features[partner[vertices.clamp_min(0)]]
    cells[vertices < 0] = model.clutter_features[0]
    return cells.permute(2, 0, 1)


def test_without_intrinsics_the_rotation_still_holds(model, search):
    pose = view(150, 25, 5)
    found = search(feature_map(model, pose, CAMERA), None, None)
    truth = torch.from_numpy(pose[:3, :3]).float()
    assert math.degrees(rotation_angle(found.hypotheses.rotation[0], truth)) < 10


def test_objects_searched_together_get_the_poses_that_each_gets_alone(model, search):
    poses = [view(30, 20, 0), view(200, 45, 10), view(110, 5, -10, shift=(0.1, 0.0))]
    maps = torch.stack([feature_map(model, pose, CAMERA) for pose in poses])
    boxes = torch.tensor([[4.0, 4, 23, 23], [3.0, 5, 24, 22], [5.0, 4, 26, 23]])
    intrinsics = torch.from_numpy(CAMERA.matrix).float()
    found = search.together(maps, intrinsics.expand(3, 3, 3), True, boxes, None)
    each = search.settings.starts
    for index, box in enumerate(boxes):
        alone = search(maps[index], intrinsics, box)
        best = found.log_odds[index * each : (index + 1) * each].argmax() + index * each
        rotation = found.refined.hypotheses.rotation[best]
        assert math.degrees(rotation_angle(rotation, alone.hypotheses.rotation[0])) < 0.01
        assert float(found.gain[best]) == pytest.approx(alone.gain, rel=1e-4)
        assert float(found.log_odds[best]) == pytest.approx(float(alone.log_odds[0]), rel=1e-3)


def test_a_finer_map_of_the_same_picture_gives_the_same_pose(model, search):
    pose = view(30, 20, 0, shift=(0.05, 0.02))
    coarse = feature_map(model, pose, CAMERA)
    box = torch.tensor([4.0, 5, 24, 22])
    intrinsics = torch.from_numpy(CAMERA.matrix).float()
    fine = coarse.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    finer = torch.from_numpy(CAMERA.cropped(0, 0, 2 * CELLS, 2 * CELLS, 2.0).matrix).float()
    one, other = search(coarse, intrinsics, box), search(fine, finer, (box + 0.5) * 2 - 0.5)
    assert math.degrees(rotation_angle(one.hypotheses.rotation[0], other.hypotheses.rotation[0])) < 0.01
    assert other.hypotheses.translation[0].tolist() == pytest.approx(
        one.hypotheses.translation[0].tolist(), abs=1e-3
    )


def test_the_way_of_a_gpu_tells_what_the_way_of_a_cpu_tells(model):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    image = cv2.resize(image, (320, 240), interpolation=cv2.INTER_CUBIC)
    camera = Camera(np.array([[300.0, 0, 160], [0, 300.0, 120], [0, 0, 1]]), 320, 240)
    boxes = [(60.0, 40.0, 150.0, 140.0), (150.0, 80.0, 100.0, 120.0), (20.0, 20.0, 110.0, 90.0)]
    pose = view(40, 20, 0)
    pose[:3, 3] = 2.2 * np.array([(135 - 160) / 300, (110 - 120) / 300, 1])  # the middle of the first box
    model = painted(model, look_at(image, boxes[:1], True, camera, model)[0], pose)
    views = look_at(image, boxes, True, camera, model)
    search = PoseEstimator([model], EstimatorSettings(threshold=0.0)).searches[0]
    found = GpuSearch(search)(torch.from_numpy(image), boxes, True, camera, False)
    for look, (_, box, chance) in zip(views, found, strict=True):
        assert box == pytest.approx(look.box, abs=1.0)
        assert chance == pytest.approx(look.chance, abs=0.02)
    intrinsics = torch.from_numpy(views[0].camera.cropped(0, 0, CELLS, CELLS, 1 / 8).matrix)
    alone, poses = search(views[0].features, intrinsics, views[0].outline), found[0][0]
    assert math.degrees(rotation_angle(alone.hypotheses.rotation[0], poses.hypotheses.rotation[0])) < 1
    assert poses.hypotheses.translation[0].tolist() == pytest.approx(
        alone.hypotheses.translation[0].tolist(), abs=0.02
    )
    assert poses.gain == pytest.approx(alone.gain, rel=0.02)


def painted(model: CategoryModel, look: CropView, pose: np.ndarray) -> CategoryModel:
    """The model, its vertices with the features that a view has where a pose shows them."""
    camera = look.camera.cropped(0, 0, CELLS, CELLS, 1 / 8)
    points, faces = RayCaster(model.template.mesh).surface_map(pose, camera)
    shown = torch.from_numpy(points)[torch.from_numpy(faces) >= 0]
    vertices = torch.from_numpy(model.template.mesh.vertices)
    distance, nearest = torch.cdist(vertices, shown.to(vertices.dtype)).min(dim=1)
    features = look.features[:, torch.from_numpy(faces) >= 0].T[nearest]
    seen = (distance < 0.06)[:, None]
    return replace(model, vertex_features=features.where(seen, model.vertex_features))


def test_a_map_of_clutter_scores_far_below_one_of_the_object(model, search):
    clutter = model.clutter_features[0][:, None, None].expand(-1, CELLS, CELLS)
    nothing = search(clutter, None, None)
    something = search(feature_map(model, view(30, 20, 0), CAMERA), None, None)
    assert nothing.gain < 0.2 * something.gain


def test_hypotheses_are_distinct_and_their_odds_ordered(model, search):
    found = search(feature_map(model, view(90, 30, 0), CAMERA), None, None)
    rotations = found.hypotheses.rotation
    apart = rotation_angle(rotations[:, None], rotations[None]) + 10 * torch.eye(len(rotations))
    assert apart.min() > math.radians(SearchSettings().distinct_deg)
    assert (found.log_odds.diff() <= 0).all()


def test_the_estimator_answers_with_proper_poses_and_weights(model):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    result = PoseEstimator([model])(image, None, np.array([[20, 10, 90, 80]]))
    detection = result.detections[0]
    assert sum(h.weight for h in detection.hypotheses) == pytest.approx(1)
    rotation = detection.hypotheses[0].camera_from_object[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    assert np.linalg.eigvalsh(detection.hypotheses[0].covariance).min() > 0
    assert not detection.metric


def test_objects_that_are_expected_somewhere_are_looked_for_there_alone(model):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    estimator = PoseEstimator([model], EstimatorSettings(threshold=0.0))
    assert not estimator(image, expected={"cup": [(20, 10, 90, 80)]}).detections
    assert len(estimator(image, expected={"boot": [(20, 10, 90, 80)]}).detections) == 1


@pytest.mark.parametrize(("where", "crops"), [("boxes", 2), ("expected", 1)])
def test_a_followed_object_is_looked_at_once_and_any_other_mirrored_too(model, monkeypatch, where, crops):
    estimator = PoseEstimator([replace(model, info=replace(model.info, mirror=[0.0, 1.0, 0.0]))])
    seen = []
    look = CategoryModel.look

    def counted(self, images):
        seen.append(len(images))
        return look(self, images)

    monkeypatch.setattr(CategoryModel, "look", counted)
    box = (20, 10, 90, 80)
    places = {"boxes": np.array([box])} if where == "boxes" else {"expected": {"boot": [box]}}
    estimator(np.full((100, 130, 3), 90, np.uint8), **places)
    assert set(seen) == {crops}


def test_crops_of_one_image_are_seen_together_as_each_is_alone(model):
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    boxes = np.array([[20, 10, 90, 80], [60, 40, 50, 60]])
    estimator = PoseEstimator([model])
    together = {d.box: d.evidence["chance"] for d in estimator(image, boxes=boxes).detections}
    for box in boxes:
        (alone,) = estimator(image, boxes=box[None]).detections
        assert together[alone.box] == pytest.approx(alone.evidence["chance"], abs=1e-3)


def test_an_image_without_the_object_has_a_reason_and_a_best_score(model):
    never = EstimatorSettings(threshold=1.0)
    result = PoseEstimator([model], never)(np.full((120, 160, 3), 90, np.uint8))
    assert result.detections == ()
    assert "threshold" in result.reason and "best score" in result.reason


@pytest.mark.parametrize("image", [np.zeros((40, 40), np.uint8), np.zeros((40, 40, 3), np.uint16)])
def test_images_that_are_not_8_bit_rgb_are_refused(model, image):
    with pytest.raises(SurfposeError, match="8-bit RGB"):
        PoseEstimator([model])(image)


def test_a_box_outside_the_image_is_refused_and_one_over_its_border_is_cut():
    image = np.zeros((100, 200, 3), np.uint8)
    with pytest.raises(SurfposeError, match="holds no pixel"):
        check_box(np.array([300, 10, 20, 20]), image)
    with pytest.raises(SurfposeError, match="holds no pixel"):
        check_box(np.array([np.nan, 10, 20, 20]), image)
    assert check_box(np.array([190, 90, 50, 50]), image) == (190, 90, 10, 10)


def test_an_estimator_without_models_is_refused():
    with pytest.raises(SurfposeError, match="no category model"):
        PoseEstimator([])


def test_a_box_fills_its_crop_up_to_the_margin():
    low_x, low_y, high_x, high_y = box_in_cells((0, 0, 100, 50), 224).tolist()
    assert high_x - low_x == pytest.approx(28 / 1.2)
    assert high_y - low_y == pytest.approx(14 / 1.2)
    assert (low_x + high_x) / 2 == pytest.approx(13.5)


def test_random_rotations_are_their_own_nearest_view(search):
    rotations = random_rotations(20, torch.Generator().manual_seed(0)).float()
    directions = -rotations[:, 2]
    reach = (directions @ -search.table.rotations[:, 2].T).amax(dim=-1)
    assert reach.min() > math.cos(math.radians(10))


def test_the_template_fixture_is_what_it_says(model):
    assert isinstance(model.template, Template)
    low, high = model.template.mesh.vertices.min(axis=0), model.template.mesh.vertices.max(axis=0)
    assert np.allclose(low + high, 0, atol=2e-3)


def test_elimination_written_out_solves_what_the_library_does():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 10, 40, generator=generator) * torch.logspace(-1, 1, 10)[:, None]
    matrix, right = rows @ rows.mT, torch.randn(6, 10, generator=generator)
    expected = torch.linalg.solve(matrix.double(), right.double())
    assert torch.allclose(eliminate(matrix, right).double(), expected, rtol=1e-3, atol=1e-5)
