"""One picture of an alignment: all meshes in the canonical frame from one viewpoint, and the pairs' D.

The vertices wear their features as colours (three principal components over all surfaces), so that a
mesh that is turned the wrong way leaps to the eye even where its shape hides it.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.cameras import Camera, project_points
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.surface import Surface

AZIMUTH_DEG, ELEVATION_DEG = 35.0, 25.0
SIZE = 200  # pixels a mesh
DISTANCE = 3.0  # of the camera, in canonical units


def write_picture(path: Path, surfaces: Sequence[Surface], alignment: Alignment) -> None:
    """Write the grid of aligned meshes and the matrix of distances as PNG, whole or not at all."""
    shown = [surface for surface in surfaces if surface.name in alignment.canonical_from_video]
    colours = feature_colours(shown)
    columns = min(5, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(
        figsize=(2.1 * columns + 0.9 * columns + 2, max(2.3 * rows + 0.8, 4)), layout="constrained"
    )
    widths = [2.1 * columns, 0.9 * columns + 2]
    grid = figure.add_gridspec(1, 2, width_ratios=widths)
    left, right = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    left.suptitle(f"{alignment.category}: {len(shown)} aligned, {len(alignment.set_aside)} set aside")
    cells = np.atleast_1d(left.subplots(rows, columns)).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, surface, colour in zip(cells, shown, colours, strict=False):
        cell.imshow(draw(surface, alignment.canonical_from_video[surface.name], colour))
        cell.set_title(f"{surface.name}  {alignment.confidence[surface.name]:.0%}", fontsize=9)
    _draw_axes(cells[0])
    _draw_distances(right, alignment)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=100)


def feature_colours(surfaces: Sequence[Surface]) -> list[np.ndarray]:
    """A colour ``(V, 3)`` in [0, 1] for every vertex: three principal components of all mean features."""
    features = [surface.mean_features for surface in surfaces]
    stacked = np.concatenate(features)
    centre = stacked.mean(axis=0)
    axes = np.linalg.svd(np.cov((stacked - centre).T), hermitian=True)[2][:3]
    low, high = np.percentile((stacked - centre) @ axes.T, [3, 97], axis=0)
    return [
        (((part - centre) @ axes.T - low) / np.maximum(high - low, 1e-9)).clip(0, 1) for part in features
    ]


def _view() -> tuple[np.ndarray, Camera]:
    angles = torch.deg2rad(torch.tensor([AZIMUTH_DEG, ELEVATION_DEG, 0.0], dtype=torch.float64))
    camera_from_canonical = np.eye(4)
    camera_from_canonical[:3, :3] = camera_from_object_views(*angles).numpy()
    camera_from_canonical[2, 3] = DISTANCE
    focal, middle = 2.6 * SIZE, (SIZE - 1) / 2
    return camera_from_canonical, Camera(
        np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]]), SIZE, SIZE
    )


def draw(surface: Surface, canonical_from_video: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """One aligned mesh, lit from the camera, in its feature colours, ``(H, W, 3)`` in [0, 1], on white."""
    mesh = surface.mesh.transformed(canonical_from_video)
    camera_from_canonical, camera = _view()
    _, faces = RayCaster(mesh).surface_map(camera_from_canonical, camera)
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    toward = -normals @ camera_from_canonical[2, :3]
    shade = (0.35 + 0.65 * toward.clip(0, 1))[:, None] * colour[mesh.faces].mean(axis=1)
    return np.where((faces >= 0)[..., None], shade[faces], 1.0)


def _draw_axes(cell: mpl.axes.Axes) -> None:
    camera_from_canonical, camera = _view()
    tips = np.concatenate([np.zeros((1, 3)), 0.3 * np.eye(3)]) - [0, 0, 0.38]
    moved = tips @ camera_from_canonical[:3, :3].T + camera_from_canonical[:3, 3]
    pixels = project_points(torch.from_numpy(camera.matrix), torch.from_numpy(moved)).numpy()
    for tip, colour, name in zip(
        pixels[1:], ("red", "green", "blue"), ("x front", "y left", "z up"), strict=True
    ):
        cell.annotate("", tip, pixels[0], arrowprops={"arrowstyle": "->", "color": colour})
        cell.text(tip[0], tip[1], name, color=colour, fontsize=7)


def _draw_distances(figure: mpl.figure.SubFigure, alignment: Alignment) -> None:
    names = list(dict.fromkeys(name for pair in alignment.pairs for name in (pair.source, pair.target)))
    place = {name: index for index, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    for pair in alignment.pairs:
        distance = np.nan if pair.distance is None else pair.distance
        matrix[place[pair.source], place[pair.target]] = distance
        matrix[place[pair.target], place[pair.source]] = distance
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="viridis")
    axes.set_title("distance D of each pair\n(red: its own best disagrees)", fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    off = [(place[pair.source], place[pair.target]) for pair in alignment.pairs if pair.off_deg > 30]
    for row, column in off:
        axes.plot([column, row], [row, column], "rx", markersize=5)
    figure.colorbar(image, ax=axes, shrink=0.7)
