"""Metrics against figures computed by others' programs on the same poses, points and boxes.

Rotation, translation, ADD and ADI: `bop_toolkit_lib.pose_error` of thodan/bop_toolkit at cea62d6. 3D IoU:
`objectron.dataset.iou` of google-research-datasets/Objectron at 46daaa0.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfpose_ros.evaluation import metrics
from surfpose_ros.evaluation.boxes import box_overlap_3d

TURN = np.linspace(0, 20, 60)
SPIRAL = 0.1 * np.stack([np.cos(TURN), np.sin(TURN), TURN / 10 - 1], axis=1)
ESTIMATED_SIZE, TRUE_SIZE = [0.3, 0.2, 0.1], [0.25, 0.2, 0.2]


def pose(rotvec, shift):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(rotvec).as_matrix(), shift
    return matrix


@pytest.mark.parametrize(
    ("estimated", "true", "expected"),
    [
        (pose((0.1, -0.4, 0.3), (0.02, 0, 1)), pose((0.2, -0.3, 0.5), (0, 0.01, 1.05)),
         (13.891787, 0.054772, 0.059007, 0.032868, 0.361582)),
        (pose((2, 1, -0.5), (0, 0, 1)), pose((-1, 0.3, 2), (0.05, 0.02, 0.9)),
         (150.663249, 0.113578, 0.205502, 0.066306, 0.230795)),
        (pose((0, 0, 0), (0, 0, 1)), pose((0, 0, 3.0), (0, 0, 1)),
         (171.887339, 0.0, 0.199499, 0.03162, 0.428804)),
    ],
)  # fmt: skip
def test_errors_are_those_of_the_bop_toolkit_and_box_overlaps_those_of_objectron(estimated, true, expected):
    ours = (
        metrics.rotation_error(estimated[:3, :3], true[:3, :3]),
        metrics.translation_error(estimated[:3, 3], true[:3, 3]),
        metrics.average_distance(estimated, true, SPIRAL),
        metrics.average_nearest_distance(estimated, true, SPIRAL),
        box_overlap_3d(estimated, ESTIMATED_SIZE, true, TRUE_SIZE),
    )
    np.testing.assert_allclose([float(value) for value in ours], expected, atol=2e-6)
