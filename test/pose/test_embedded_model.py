"""The model in models/ on pictures of mugs that it never saw."""

import numpy as np
import pytest
import torch

from surfpose_ros.category.model import load_category_model
from surfpose_ros.evaluation.metrics import rotation_error
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator
from surfpose_ros.pose.localise import propose
from surfpose_ros.pose.on_gpu import GpuSearch
from surfpose_ros.share import share_folder
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.scenes import SceneSettings, make_scene

MODEL = share_folder() / "models" / "simulated_mug"
SCENES = 10


@pytest.fixture(scope="module")
def estimator() -> PoseEstimator:
    return PoseEstimator([load_category_model(MODEL)], EstimatorSettings(threshold=0.0))


def test_the_embedded_model_tells_how_most_mugs_are_turned_and_how_far_away_they_are(estimator):
    turned, far = [], []
    for number in range(SCENES):
        scene = make_scene(make_object("mug", 9000 + number), 9000 + number, SceneSettings(640, 480))
        [found] = estimator(scene.image, scene.camera, np.array([scene.box])).detections
        pose = found.hypotheses[0].camera_from_object
        turned.append(rotation_error(pose[:3, :3], scene.camera_from_object[:3, :3]))
        distance = np.linalg.norm(scene.camera_from_object[:3, 3])
        far.append(np.linalg.norm(pose[:3, 3] - scene.camera_from_object[:3, 3]) / distance)
    assert np.mean(np.array(turned) < 30) >= 0.6
    assert np.median(far) < 0.2


def test_a_gpu_proposes_the_places_that_a_cpu_does(estimator):
    [search] = estimator.searches
    for number in range(4):
        image = make_scene(make_object("mug", 9000 + number), 9000 + number, SceneSettings(640, 480)).image
        [expected] = propose(image, search.model, most=1)
        [found] = GpuSearch(search).propose(torch.from_numpy(image), most=1)
        assert found.chance == pytest.approx(expected.chance, abs=0.01)
        assert np.allclose(found.box, expected.box, atol=2.0)
