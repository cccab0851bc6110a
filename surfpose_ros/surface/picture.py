"""One picture a video: frames with their masks, the cameras round it, the mesh in feature colours."""

import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.grade import viewing_angles
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import ObjectVideo

TILE = 200
# Azimuth and elevation in degrees of the mesh's pictures.
_VIEWS = ((30.0, 20.0), (120.0, 20.0), (210.0, 40.0))


def surface_picture(surface: Surface, video: ObjectVideo) -> np.ndarray:
    """RGB ``(H, W, 3)`` uint8: what there is to know, frames with mask outlines, cameras and mesh.

    The mesh's colours are the first three principal components of its mean vertex features: equal parts
    of equal objects should have equal colours.
    """
    frames = {frame.name: frame for frame in video.frames}
    used = [frames[view.frame] for view in surface.views if view.frame in frames]
    chosen = [used[index] for index in np.linspace(0, len(used) - 1, 8).round().astype(int)]
    tiles = [_framed(frame.image, frame.mask) for frame in chosen]
    up = surface.up if surface.up is not None else np.array([0.0, 0.0, 1.0])
    colours = feature_colours(surface.mean_features)
    meshes = [draw_mesh(surface.mesh, colours, up, *angles) for angles in _VIEWS]
    page = np.vstack([np.hstack(tiles[:6]), np.hstack([*tiles[6:], _ring(surface, up), *meshes])])
    known = "metric" if surface.metric else "scale unknown"
    title = f"{surface.category}/{surface.name}: {len(surface.mesh.vertices)} vertices, {known}"
    return np.vstack([_written(title, "; ".join(surface.notes), width=page.shape[1]), page])


def feature_colours(features: np.ndarray) -> np.ndarray:
    """Colours ``(V, 3)`` uint8 of features ``(V, D)``: their first three principal components."""
    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    # A fixed sign, so that equal features give equal pictures.
    axes = axes[:3] * np.sign(axes[:3].sum(axis=1, keepdims=True))
    parts = centred @ axes.T
    low, high = np.percentile(parts, [2, 98], axis=0)
    return (40 + 215 * np.clip((parts - low) / np.maximum(high - low, 1e-9), 0, 1)).astype(np.uint8)


def draw_mesh(
    mesh: Mesh, colours: np.ndarray, up: np.ndarray, azimuth_deg: float, elevation_deg: float
) -> np.ndarray:
    """The mesh, shaded, in vertex colours ``(V, 3)``, from a direction about `up`, ``(TILE, TILE, 3)``."""
    front = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    front /= np.linalg.norm(front)
    side = np.cross(up, front)
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    toward = np.cos(elevation) * (np.cos(azimuth) * front + np.sin(azimuth) * side) + np.sin(elevation) * up
    right = np.cross(up, toward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, -np.cross(toward, right), -toward])
    pose = np.eye(4)
    pose[:3, :3] = rotation
    middle = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    pose[:3, 3] = [0, 0, 5 * mesh.diagonal] - rotation @ middle
    matrix = np.array([[4.6 * TILE, 0, TILE / 2], [0, 4.6 * TILE, TILE / 2], [0, 0, 1]])
    _, faces = RayCaster(mesh).surface_map(pose, Camera(matrix, TILE, TILE))
    hit = faces >= 0
    shade = 0.45 + 0.55 * np.clip(mesh.trimesh().face_normals[faces[hit]] @ (toward + 0.5 * up) / 1.3, 0, 1)
    picture = np.full((TILE, TILE, 3), 255, np.uint8)
    flat = colours[mesh.faces].mean(axis=1)[faces[hit]]
    picture[hit] = (flat * shade[:, None]).astype(np.uint8)
    return picture


def _written(*texts: str, width: int) -> np.ndarray:
    """Lines of text on white, ``(H, width, 3)``; what is too long for one goes on in the next."""
    font = (cv2.FONT_HERSHEY_SIMPLEX, 0.45)
    lines: list[str] = []
    for text in texts:
        lines.append("")
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if cv2.getTextSize(longer, *font, 1)[0][0] <= width - 12:
                lines[-1] = longer
            else:
                lines.append(word)
    header = np.full((4 + 20 * len(lines), width, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        cv2.putText(header, line, (6, 17 + 20 * row), *font, (0, 0, 0), 1, cv2.LINE_AA)
    return header


def _framed(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    picture = image.copy()
    thick = max(1, round(max(image.shape) / 200))
    if mask is not None:
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, (255, 220, 0), thick)
    scale = TILE / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.full((TILE, TILE, 3), 255, np.uint8)
    top, left = (TILE - small.shape[0]) // 2, (TILE - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return tile


def _ring(surface: Surface, up: np.ndarray) -> np.ndarray:
    """Where the cameras stood, from above: azimuth round, elevation from rim (0) to middle (90 degrees)."""
    tile = np.full((TILE, TILE, 3), 255, np.uint8)
    centre, radius = TILE // 2, TILE // 2 - 14
    for circle in (0, 30, 60):
        cv2.circle(tile, (centre, centre), round(radius * (1 - circle / 90)), (200, 200, 200), 1, 16)
    poses = np.array([view.camera_from_video for view in surface.views])
    azimuth, elevation = viewing_angles(poses, surface.mesh.vertices.mean(axis=0), up)
    for angle, height in zip(azimuth, elevation, strict=True):
        reach = radius * (1 - np.degrees(abs(height)) / 90)
        place = (round(centre + reach * np.cos(angle)), round(centre - reach * np.sin(angle)))
        cv2.circle(tile, place, 3, (30, 90, 200) if height >= 0 else (200, 60, 30), -1, 16)
    return tile
