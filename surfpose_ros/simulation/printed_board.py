"""A printed board on the turntable's disc, under the object."""

import numpy as np

from surfpose_ros.simulation.objects import SimulatedObject
from surfpose_ros.simulation.textured_mesh import TexturedMesh, textured_mesh
from surfpose_ros.video.board import BoardSpec

# Side of the print in units of the object's diagonal: its corners reach the disc's rim.
SIDE = 1.05
PIXELS, EDGE = 1024, 24


def board_under(item: SimulatedObject, kind: str) -> BoardSpec:
    """A board that shows on all sides of an object; `kind` as in `BoardSpec`."""
    side = SIDE * float(np.linalg.norm(item.size))
    if kind == "grid":
        pitch = side / 5.8
        return BoardSpec(6, 6, pitch, 0.8 * pitch, "DICT_APRILTAG_36h11", "grid")
    return BoardSpec(8, 8, side / 8, 0.75 * side / 8, "DICT_4X4_50", "charuco")


def base_from_board_video(spec: BoardSpec) -> np.ndarray:
    """Pose ``(4, 4)`` of the board's video frame (top left corner, z up) on the disc at angle 0."""
    pose = np.eye(4)
    pose[:2, 3] = -spec.size[0] / 2, spec.size[1] / 2
    return pose


def board_plate(spec: BoardSpec) -> TexturedMesh:
    """The print as a sheet centred on z = 0 of the disc, with a white edge; metres."""
    width, height = spec.size
    pixel = max(width, height) / PIXELS
    size = (round(width / pixel), round(height / pixel))
    print_ = np.pad(spec.opencv().generateImage(size, marginSize=0), EDGE, constant_values=255)
    half = np.array([width / 2 + EDGE * width / size[0], height / 2 + EDGE * height / size[1]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    # Just above the disc, so that no ray takes the one for the other.
    vertices = np.column_stack([corners * half, np.full(4, 2e-3 * max(width, height))])
    uv = (corners + 1) / 2
    # White paper reflects less than all light; without this the highlights burn out.
    texture = np.repeat((0.85 * print_).astype(np.uint8)[..., None], 3, axis=2)
    return textured_mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uv, texture, gloss=0.0)
