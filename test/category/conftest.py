import numpy as np
import pytest

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import ObjectVideo

from .eggs import ellipsoid_video


@pytest.fixture(scope="session")
def eggs() -> tuple[list[ObjectVideo], dict[str, Surface], Alignment]:
    """Two videos of ellipsoids, their surfaces, and an alignment that scales them to diagonal one."""
    made = [ellipsoid_video("long", (1.0, 0.5, 0.4)), ellipsoid_video("short", (0.9, 0.6, 0.4))]
    transforms = {s.name: np.diag([1 / s.mesh.diagonal] * 3 + [1.0]) for _, s in made}
    alignment = Alignment("egg", transforms, {"long": 1.0, "short": 1.0}, axes={"up": "known"})
    return [video for video, _ in made], {s.name: s for _, s in made}, alignment
