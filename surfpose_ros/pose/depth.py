"""Metric distance and size from a depth image, for poses whose scale intrinsics alone cannot tell."""

from dataclasses import replace

import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.detection import Detection, PoseHypothesis

MIN_PIXELS = 20


def scale_from_depth(
    detection: Detection, caster: RayCaster, camera: Camera, depth: np.ndarray
) -> Detection:
    """The detection at the scale at which its best pose's surface lies at the measured depth.

    Args:
        detection: estimated with `camera`.
        caster: of the template, in its canonical frame.
        camera: intrinsics of the image and of `depth`.
        depth: metres along the optical axis, ``(H, W)``; zero or not finite where unknown.

    Returns:
        The same detection, metric, with translations and size multiplied by the median ratio of measured
        to predicted depth over the object's pixels; unchanged where depth covers too few of them.
    """
    x, y, width, height = detection.box
    step = max(width, height) / 64
    small = camera.cropped(x, y, max(int(width / step), 1), max(int(height / step), 1), 1 / step)
    camera_from_mesh = detection.hypotheses[0].camera_from_object.copy()
    camera_from_mesh[:3, :3] *= detection.size / np.ptp(caster.mesh.vertices, axis=0)
    points, faces = caster.surface_map(camera_from_mesh, small)
    rows, columns = np.nonzero(faces >= 0)
    predicted = (points[rows, columns] @ camera_from_mesh[2, :3]) + camera_from_mesh[2, 3]
    u = np.clip(np.rint(x + (columns + 0.5) * step - 0.5).astype(int), 0, depth.shape[1] - 1)
    v = np.clip(np.rint(y + (rows + 0.5) * step - 0.5).astype(int), 0, depth.shape[0] - 1)
    measured = depth[v, u]
    known = np.isfinite(measured) & (measured > 0)
    if known.sum() < MIN_PIXELS:
        return detection
    ratio = float(np.median(measured[known] / predicted[known]))
    return replace(
        detection,
        hypotheses=tuple(_scaled(hypothesis, ratio) for hypothesis in detection.hypotheses),
        size=detection.size * ratio,
        metric=True,
    )


def _scaled(hypothesis: PoseHypothesis, ratio: float) -> PoseHypothesis:
    pose, units = hypothesis.camera_from_object.copy(), np.array([ratio] * 3 + [1.0] * 3)
    pose[:3, 3] *= ratio
    covariance = hypothesis.covariance * units[:, None] * units
    return replace(hypothesis, camera_from_object=pose, covariance=covariance)
