"""Camera poses from a printed board under the object: metric, with up and floor, one picture at a time."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera

BOARD_KINDS = ("charuco", "grid")
# Fewer corners than this, or a mean reprojection error above this many pixels, make no pose.
MIN_CORNERS, MAX_ERROR = 6, 2.0
# OpenCV's board has x right, y down and z into the paper; the video's frame has z up, out of it.
_VIDEO_FROM_BOARD = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class BoardSpec:
    """A board as printed: ChArUco (markers in a chessboard), or a grid of markers such as AprilTags.

    Attributes:
        columns: squares along its width; of a grid, markers.
        rows: squares along its height; of a grid, markers.
        square: side of a square, metres; of a grid, from one marker's left edge to the next one's.
        marker: side of a marker, metres.
        dictionary: name in OpenCV, such as DICT_5X5_100 or DICT_APRILTAG_36h11.
        kind: charuco or grid; ids run in rows from the print's top left, as OpenCV numbers them.
    """

    columns: int
    rows: int
    square: float
    marker: float
    dictionary: str = "DICT_5X5_100"
    kind: str = "charuco"

    def __post_init__(self) -> None:
        if self.kind not in BOARD_KINDS:
            raise ValueError(f"board kind {self.kind!r} must be one of {', '.join(BOARD_KINDS)}")
        least = 3 if self.kind == "charuco" else 2
        if self.columns < least or self.rows < least:
            raise ValueError(f"board must have {least} columns and {least} rows at least")
        if not 0 < self.marker < self.square < 10:
            raise ValueError("board needs 0 < marker < square, in metres")
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            raise ValueError(
                f"board dictionary {self.dictionary!r} is none of OpenCV's, such as DICT_5X5_100"
            )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the print, metres."""
        gap = 0.0 if self.kind == "charuco" else self.square - self.marker
        return self.columns * self.square - gap, self.rows * self.square - gap

    def opencv(self) -> Any:
        """OpenCV's board."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        counts = (self.columns, self.rows)
        if self.kind == "grid":
            return cv2.aruco.GridBoard(counts, self.marker, self.square - self.marker, dictionary)
        return cv2.aruco.CharucoBoard(counts, self.square, self.marker, dictionary)


class BoardPoses:
    """Finds one board in pictures."""

    def __init__(self, spec: BoardSpec) -> None:
        self._board: Any = spec.opencv()  # OpenCV's own type hints are too narrow
        self._charuco = cv2.aruco.CharucoDetector(self._board) if spec.kind == "charuco" else None
        options = cv2.aruco.DetectorParameters()
        options.cornerRefinementMethod = int(cv2.aruco.CORNER_REFINE_SUBPIX)
        self._markers = cv2.aruco.ArucoDetector(self._board.getDictionary(), options)

    def __call__(self, image: np.ndarray, camera: Camera) -> np.ndarray | None:
        """camera_from_video ``(4, 4)``: the video's frame lies on the board, z up; None if not seen.

        Of the two poses that a plane allows (Collins and Bartoli, IJCV 2014), the one that reprojects
        better is refined.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, ids = self._charuco.detectBoard(grey)[:2] if self._charuco else self._detect_grid(grey)
        if ids is None or not len(ids):
            return None
        points, pixels = self._board.matchImagePoints(corners, ids)
        if points is None or len(points) < MIN_CORNERS:
            return None
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

    def _detect_grid(self, grey: np.ndarray) -> tuple[Any, Any]:
        """Corners and ids of the markers of a grid."""
        corners, ids, rejected = self._markers.detectMarkers(grey)
        if ids is None:
            return corners, ids
        corners, ids, _, _ = self._markers.refineDetectedMarkers(grey, self._board, corners, ids, rejected)
        return corners, ids
