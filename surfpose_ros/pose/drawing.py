"""Poses drawn onto images: axes (x red, y green, z blue), box with its front marked, outline, label."""

from collections.abc import Mapping

import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.pose.detection import Detection, PoseResult

AXIS_COLOURS = ((230, 50, 50), (60, 180, 60), (60, 110, 250))
OUTLINE_COLOURS = ((255, 176, 0), (0, 200, 255), (255, 105, 180), (140, 230, 60))
# Camera without intrinsics: as far off as a photographer stands, in object diagonals.
_DISTANCE = 2.5
# Points nearer to the camera plane than this share of their distance are not drawn.
_NEAR = 0.05
_SUBPIXEL_BITS = 4

_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_EDGES = [(a, b) for a in range(8) for b in range(a) if np.abs(_SIGNS[a] - _SIGNS[b]).sum() == 2]
_FRONT = [4, 5, 7, 6]  # the corners at +x, in turn


def draw_result(
    image: np.ndarray,
    result: PoseResult,
    camera: Camera | None,
    templates: Mapping[str, Mesh] | None = None,
) -> np.ndarray:
    """A copy of an image with every detection drawn on it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        result: of that image.
        camera: the one the poses were estimated with; None if they were without.
        templates: mesh of each category in its canonical frame, any unit, for the outlines.

    Returns:
        ``(H, W, 3)`` uint8 RGB. With no detection, the reason is written on it.
    """
    drawn = image.copy()
    if not result.detections:
        draw_text(drawn, result.reason, (4, image.shape[0] - 8), (255, 80, 80))
    for index, detection in reversed(list(enumerate(result.detections))):
        colour = OUTLINE_COLOURS[index % len(OUTLINE_COLOURS)]
        draw_detection(drawn, detection, camera, (templates or {}).get(detection.category), colour)
    return drawn


def draw_detection(
    image: np.ndarray,
    detection: Detection,
    camera: Camera | None,
    template: Mesh | None = None,
    colour: tuple[int, int, int] = OUTLINE_COLOURS[0],
) -> None:
    """Draw one detection's best pose onto `image`, in place; a rival pose's axes are drawn thin."""
    mesh = None if template is None else resized(template, detection.size)
    points = box_corners(detection.size) if mesh is None else mesh.vertices
    for rank, hypothesis in reversed(list(enumerate(detection.hypotheses[:2]))):
        pose, lens = hypothesis.camera_from_object, camera
        if lens is None:
            lens, pose = camera_on_box(pose[:3, :3], points, detection.box, image.shape)
        if rank and hypothesis.weight < 0.2:
            continue
        length = 0.5 * float(np.linalg.norm(detection.size))
        if rank == 0:
            if mesh is not None:
                draw_outline(image, lens, pose, mesh, colour)
            draw_box(image, lens, pose, detection.size, colour)
        draw_axes(image, lens, pose, length, thin=rank > 0)
    x, y, _, _ = detection.box
    percent = f"{detection.category} {100 * detection.score:.0f}%"
    draw_text(image, percent, (int(max(x, 0)) + 2, int(max(y - 4, 14))), colour)


def camera_on_box(
    rotation: np.ndarray, points: np.ndarray, box: tuple[float, ...], shape: tuple[int, ...]
) -> tuple[Camera, np.ndarray]:
    """A camera, and an object's pose before it, that make the object fill a box of the image.

    For poses estimated without intrinsics: their rotation holds for a camera that looks at the object.

    Args:
        rotation: ``camera_from_object``, ``(3, 3)``.
        points: of the object in its own frame, ``(N, 3)``: its vertices, or `box_corners`.
        box: x, y, width, height in pixels.
        shape: of the image, ``(H, W, ...)``.

    Returns:
        The camera, and ``camera_from_object`` ``(4, 4)`` in the unit of `points`.
    """
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[2, 3] = _DISTANCE * np.linalg.norm(np.ptp(points, axis=0))
    there = points @ rotation.T + pose[:3, 3]
    flat = there[:, :2] / there[:, 2:]
    low, extent = flat.min(axis=0), np.ptp(flat, axis=0)
    focal = float(np.sqrt(np.prod(np.array(box[2:]) / extent)))
    centre = np.array(box[:2]) + np.array(box[2:]) / 2 - focal * (low + extent / 2)
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    return Camera(matrix, shape[1], shape[0]), pose


def resized(mesh: Mesh, size: np.ndarray) -> Mesh:
    """A mesh stretched along its axes so that its box has the `size` ``(3,)``."""
    return Mesh((mesh.vertices * size / np.ptp(mesh.vertices, axis=0)).astype(np.float32), mesh.faces)


def box_corners(size: np.ndarray) -> np.ndarray:
    """Of a box of `size` ``(3,)`` about the origin, ``(8, 3)``."""
    return _SIGNS * np.asarray(size) / 2


def draw_axes(
    image: np.ndarray, camera: Camera, camera_from_object: np.ndarray, length: float, thin: bool = False
) -> None:
    """Draw the object's axes from its origin, in place; the ones that point away first."""
    tips = np.vstack([np.zeros(3), length * np.eye(3)])
    pixels, ahead = _project(camera, camera_from_object, tips)
    if not ahead.all():
        return
    width = _width(image) * (1 if thin else 2)
    for axis in np.argsort(-camera_from_object[2, :3]):
        start, end = _point(pixels[0]), _point(pixels[1 + axis])
        cv2.arrowedLine(image, start, end, AXIS_COLOURS[axis], width, cv2.LINE_AA, _SUBPIXEL_BITS, 0.12)


def draw_box(
    image: np.ndarray,
    camera: Camera,
    camera_from_object: np.ndarray,
    size: np.ndarray,
    colour: tuple[int, int, int],
) -> None:
    """Draw the box of `size` ``(3,)`` centred on the object's origin, in place; its front (+x) tinted."""
    pixels, ahead = _project(camera, camera_from_object, box_corners(size))
    if not ahead.all():
        return
    front = np.array([_point(pixels[corner]) for corner in _FRONT])
    tinted = image.copy()
    cv2.fillConvexPoly(tinted, front, colour, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.addWeighted(tinted, 0.25, image, 0.75, 0, dst=image)
    for a, b in _EDGES:
        start, end = _point(pixels[a]), _point(pixels[b])
        cv2.line(image, start, end, colour, _width(image), cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_outline(
    image: np.ndarray,
    camera: Camera,
    camera_from_object: np.ndarray,
    mesh: Mesh,
    colour: tuple[int, int, int],
) -> None:
    """Draw the contour of a mesh's silhouette, in place."""
    mask = silhouette(camera, camera_from_object, mesh, image.shape)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(image, contours, -1, colour, _width(image), cv2.LINE_AA)


def silhouette(
    camera: Camera, camera_from_object: np.ndarray, mesh: Mesh, shape: tuple[int, ...]
) -> np.ndarray:
    """Where a mesh covers the image, ``(H, W)`` uint8, 255 on it."""
    pixels, ahead = _project(camera, camera_from_object, mesh.vertices)
    mask = np.zeros(shape[:2], np.uint8)
    # Far-off pixels would overflow OpenCV's fixed point, and show nothing anyway.
    limit = 8 * max(shape[:2])
    for face in mesh.faces[ahead[mesh.faces].all(axis=1)]:
        triangle = pixels[face]
        if np.abs(triangle).max() < limit:
            cv2.fillConvexPoly(
                mask, np.round(triangle * 16).astype(np.int32), 255, cv2.LINE_8, _SUBPIXEL_BITS
            )
    return mask


def draw_text(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write `text` with its lower left corner at pixel `at`, dark behind it, in place."""
    scale = 0.45 * _width(image)
    for ink, width in (((0, 0, 0), 3 * _width(image)), (colour, _width(image))):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA)


def _project(camera: Camera, pose: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(N, 2)`` of object points ``(N, 3)``, and which of them lie ahead of the camera."""
    there = np.asarray(points, np.float64) @ pose[:3, :3].T + pose[:3, 3]
    near = _NEAR * max(float(np.linalg.norm(pose[:3, 3])), 1e-9)
    ahead = there[:, 2] > near
    pixels = there @ camera.matrix.T
    return pixels[:, :2] / np.maximum(pixels[:, 2:], near), ahead


def _point(pixel: np.ndarray) -> tuple[int, int]:
    """In OpenCV's fixed point, kept from overflowing."""
    x, y = np.round(np.clip(pixel, -1e4, 1e4) * (1 << _SUBPIXEL_BITS)).astype(int)
    return int(x), int(y)


def _width(image: np.ndarray) -> int:
    """Width of a thin line: one pixel up to VGA."""
    return max(1, round(max(image.shape[:2]) / 640))
