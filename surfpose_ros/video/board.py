"""Camera poses from a ChArUco board under the object: metric, with up and floor, one picture at a time."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera

# Fewer corners than this, or a mean reprojection error above this many pixels, make no pose.
MIN_CORNERS, MAX_ERROR = 6, 2.0
# OpenCV's board has x right, y down and z into the paper; the video's frame has z up, out of it.
_VIDEO_FROM_BOARD = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class BoardSpec:
    """A ChArUco board as printed.

    Attributes:
        columns: squares along its width.
        rows: squares along its height.
        square: side of a square, metres.
        marker: side of a marker, metres.
        dictionary: name in OpenCV, such as DICT_5X5_100.
    """

    columns: int
    rows: int
    square: float
    marker: float
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise ValueError("board must have 3 columns and 3 rows at least")
        if not 0 < self.marker < self.square < 10:
            raise ValueError("board needs 0 < marker < square, in metres")
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            raise ValueError(
                f"board dictionary {self.dictionary!r} is none of OpenCV's, such as DICT_5X5_100"
            )

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's board."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, dictionary)


class BoardPoses:
    """Finds one board in pictures."""

    def __init__(self, spec: BoardSpec) -> None:
        self._board: Any = spec.opencv()  # OpenCV's own type hints are too narrow
        self._detector = cv2.aruco.CharucoDetector(self._board)

    def __call__(self, image: np.ndarray, camera: Camera) -> np.ndarray | None:
        """camera_from_video ``(4, 4)``: the video's frame lies on the board, z up; None if not seen.

        Of the two poses that a plane allows (Collins and Bartoli, IJCV 2014), the one that reprojects
        better is refined.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < MIN_CORNERS:
            return None
        points, pixels = self._board.matchImagePoints(corners, ids)
        found, turns, shifts, errors = cv2.solvePnPGeneric(
            points, pixels, camera.matrix, None, flags=cv2.SOLVEPNP_IPPE
        )
        if not found:
            return None
        best = int(np.argmin(errors))
        turn, shift = cv2.solvePnPRefineLM(points, pixels, camera.matrix, None, turns[best], shifts[best])
        again, _ = cv2.projectPoints(points, turn, shift, camera.matrix, None)
        if np.linalg.norm(again - pixels, axis=-1).mean() > MAX_ERROR:
            return None
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
        return pose @ np.linalg.inv(_VIDEO_FROM_BOARD)
