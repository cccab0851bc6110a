"""Which way is up in a video's own frame, told by the camera path where nothing better is known.

People and tripods hold cameras level: every camera's right vector is horizontal, so up is the direction
most orthogonal to all of them. No label enters.
"""

import numpy as np

# A camera that is held or mounted is level within some degrees; no path tells up better than this.
HELD_SIGMA_DEG = 1.0
# Right vectors that hardly spread leave the direction free about their mean.
MIN_SPREAD = 0.1


def up_from_cameras(camera_from_video: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Up and its standard deviation in degrees from camera poses ``(N, 4, 4)``; None if they do not tell.

    Up is the eigenvector of the smallest eigenvalue of the right vectors' scatter; its sign is that of
    the cameras' mean up. With residual r (the cameras' roll) and smallest spread s along the other
    directions, the deviation is about r / (s sqrt(N)).
    """
    rotations = camera_from_video[:, :3, :3]
    right, image_up = rotations[:, 0], -rotations[:, 1]
    values, vectors = np.linalg.eigh(right.T @ right / len(right))
    direction = vectors[:, 0]
    mean_up = image_up.mean(axis=0)
    if values[1] < MIN_SPREAD**2 or abs(direction @ mean_up) < 0.05:
        return None
    direction = direction * np.sign(direction @ mean_up)
    spread = np.sqrt(values[1])
    sampling = np.degrees(np.sqrt(max(values[0], 0.0)) / (spread * np.sqrt(len(right))))
    return direction, float(np.hypot(sampling, HELD_SIGMA_DEG / spread))
