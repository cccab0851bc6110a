"""`surfpose benchmark surfaces`: rendered captures of meshes to surfaces, each step against the truth.

Every mesh is recorded twice on a simulated turntable: with the joint's angle and pictures of the empty
scene (mesh, masks and structure from motion are measured on it), and on a printed board.
"""

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import trimesh
import typer
from scipy.spatial import cKDTree

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, load_backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.tables import Table
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.rotations import mean_rotation, rotation_angle
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.progress import Progress, silent
from surfpose_ros.simulation.captures import (
    SILHOUETTE_TOPIC,
    CaptureOptions,
    read_truth,
    simulate_captures,
    simulated_seed,
)
from surfpose_ros.simulation.objects import SimulatedObject, load_object
from surfpose_ros.simulation.turntable import Turntable
from surfpose_ros.surface.reconstruct import ReconstructSettings, reconstruct
from surfpose_ros.video.bag import read_messages
from surfpose_ros.video.object_video import ObjectVideo
from surfpose_ros.video.pictures import plane_from_message
from surfpose_ros.video.reader import read_capture
from surfpose_ros.video.structure_from_motion import sfm_available

SAMPLES = 20_000
CATEGORY = "thing"
DIAGONAL = 0.3


@dataclass(frozen=True)
class MeshFigures:
    """What was measured on one mesh; None where it could not be, and `failed` says why.

    Attributes:
        mesh: its name.
        chamfer_percent: mean distance between the surface and what shows of the true one, both ways, per
            cent of the true bounding box's diagonal.
        mask_iou: mean over the frames of masks by `background` with the true ones.
        sfm_deg: median rotation error of structure from motion, after one turn of the whole video.
        sfm_posed: share of frames that it posed.
        board_deg: median rotation error of the board's poses.
        board_posed: share of frames that it posed.
        seconds: of reading and reconstructing, without structure from motion.
        sfm_seconds: of structure from motion, reading included.
        failed: step to reason.
    """

    mesh: str
    chamfer_percent: float | None
    mask_iou: float
    sfm_deg: float | None
    sfm_posed: float | None
    board_deg: float | None
    board_posed: float | None
    seconds: float
    sfm_seconds: float | None
    failed: dict[str, str]


def run(
    meshes: Annotated[list[Path], typer.Argument(help="Mesh files, z up (glb, obj, ply).")],
    views: Annotated[int, typer.Option(min=12, help="Frames of each capture.")] = 48,
    board: Annotated[str, typer.Option(help="charuco, or grid (AprilTags).")] = "charuco",
    with_sfm: Annotated[bool, typer.Option("--sfm/--no-sfm", help="Structure from motion too.")] = True,
    seed: Annotated[int, typer.Option(help="Of rooms and poses.")] = 0,
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Measure meshes, cameras, masks and time on rendered captures."""
    backbone = load_backbone(DEFAULT_BACKBONE)
    with_sfm = with_sfm and sfm_available()
    rows = []
    for done, path in enumerate(meshes):
        progress("meshes", done, len(meshes), path.stem)
        with tempfile.TemporaryDirectory(prefix="surfpose-benchmark-") as folder:
            rows.append(_measure(path, Path(folder), views, board, with_sfm, seed, backbone))
    progress("meshes", len(meshes), len(meshes))
    columns = (
        "mesh", "chamfer %", "mask IoU", "sfm deg", "sfm posed", "board deg", "board posed", "s", "sfm s",
    )  # fmt: skip
    cells = [tuple(asdict(row).values())[: len(columns)] for row in rows]
    note = "" if with_sfm else 'no structure from motion: left out, or not installed ("surfpose_ros[sfm]")'
    title = f"Surfaces of rendered captures, {views} views"
    median = ("median", *(_median([row[index] for row in cells]) for index in range(1, len(columns))))
    table = Table(title, columns, [*cells, median], note, digits=3)
    figures: dict[str, Any] = {"views": views, "seed": seed, "meshes": [asdict(row) for row in rows]}
    return BenchmarkResult("surfaces", figures, [table])


def chamfer_percent(found: Mesh, true: Mesh) -> float:
    """Mean of both one-way mean distances between surfaces, per cent of the true box's diagonal.

    Of the true mesh only what shows from outside counts: the inside of a car is nobody's surface.
    """
    outside = _visible_points(true)
    points, _ = trimesh.sample.sample_surface(found.trimesh(), SAMPLES, seed=0)
    there, back = cKDTree(outside).query(points)[0].mean(), cKDTree(points).query(outside)[0].mean()
    return float(100 * (there + back) / 2 / true.diagonal)


def rotation_errors_deg(found: np.ndarray, true: np.ndarray, same_frame: bool) -> np.ndarray:
    """Angles between camera rotations ``(N, 3, 3)``, degrees ``(N,)``.

    Without `same_frame` the found video's frame is turned as a whole to fit best first.
    """
    found_, true_ = torch.from_numpy(found.copy()), torch.from_numpy(true.copy())
    if not same_frame:
        found_ = found_ @ mean_rotation(found_.transpose(-1, -2) @ true_)
    return np.degrees(rotation_angle(true_, found_).numpy())


def _measure(
    path: Path, folder: Path, views: int, board: str, with_sfm: bool, seed: int, backbone: Backbone
) -> MeshFigures:
    item = load_object(path, CATEGORY, DIAGONAL)
    options = CaptureOptions(views, "turntable", masks=False, background=True)
    capture = simulate_captures([lambda: item], [path.stem], folder / "plain", seed, options)[0]
    failed: dict[str, str] = {}
    start = time.perf_counter()
    video = read_capture(capture, masks="background")
    chamfer = None
    try:
        surface = reconstruct(video, backbone, ReconstructSettings())
        true = item.mesh.mesh().transformed(read_truth(capture.parent)[path.stem])
        seconds = time.perf_counter() - start
        chamfer = chamfer_percent(surface.mesh, true)
    except SurfposeError as error:
        seconds = time.perf_counter() - start
        failed["mesh"] = str(error)
    sfm_deg = sfm_posed = sfm_seconds = None
    if with_sfm:
        start = time.perf_counter()
        try:
            moved = read_capture(capture, poses="sfm", masks="background")
            sfm_seconds = time.perf_counter() - start
            rotations = {frame.name: _rotation(frame.camera_from_video) for frame in video.frames}
            found = np.array([_rotation(frame.camera_from_video) for frame in moved.frames])
            expected = np.array([rotations[frame.name] for frame in moved.frames])
            sfm_deg = float(np.median(rotation_errors_deg(found, expected, same_frame=False)))
            sfm_posed = len(moved.frames) / views
        except SurfposeError as error:
            failed["sfm"] = str(error)
    board_deg, board_posed = None, None
    try:
        board_deg, board_posed = _board_error(item, path.stem, folder / "board", views, board, seed)
    except SurfposeError as error:
        failed["board"] = str(error)
    return MeshFigures(
        path.stem, chamfer, _mask_iou(capture, video), sfm_deg, sfm_posed, board_deg, board_posed,
        seconds, sfm_seconds, failed,
    )  # fmt: skip


def _board_error(
    item: SimulatedObject, name: str, folder: Path, views: int, board: str, seed: int
) -> tuple[float, float]:
    """Median error of rotations in degrees, and the share of frames posed."""
    options = CaptureOptions(views, "board", board)
    capture = simulate_captures([lambda: item], [name], folder, seed, options)[0]
    video = read_capture(capture)
    turntable = Turntable(item, options.turntable, simulated_seed(seed, CATEGORY, name))
    object_from_video = np.linalg.inv(read_truth(folder)[name])
    # Frames are named by their stamps: ten a second, from 1 s on.
    views_of = dict(enumerate(turntable.views(views)))
    found, expected = [], []
    for frame in video.frames:
        truth = turntable.camera_from_object(*views_of[round((frame.stamp - 1) * 10)])
        found.append(_rotation(frame.camera_from_video))
        expected.append(truth[:3, :3] @ object_from_video[:3, :3])
    errors = rotation_errors_deg(np.array(found), np.array(expected), same_frame=True)
    return float(np.median(errors)), len(found) / views


def _mask_iou(capture: Path, video: ObjectVideo) -> float:
    """Mean intersection over union of the masks with the recorded true silhouettes."""
    truth = {
        round(message.stamp / 1e6): plane_from_message(message.content, str(capture)) > 127
        for message in read_messages(capture, [SILHOUETTE_TOPIC])
    }
    overlaps = []
    for frame in video.frames:
        mask, true = frame.mask, truth[round(frame.stamp * 1e3)]
        if mask is not None:
            overlaps.append((mask & true).sum() / max((mask | true).sum(), 1))
    return float(np.mean(overlaps))


def _visible_points(mesh: Mesh) -> np.ndarray:
    """Points ``(P, 3)`` on the mesh that can be seen from some direction outside."""
    caster = RayCaster(mesh)
    points, _ = trimesh.sample.sample_surface(mesh.trimesh(), SAMPLES, seed=0)
    directions = trimesh.creation.icosphere(subdivisions=1).vertices
    seen = np.zeros(len(points), bool)
    for direction in directions:
        seen |= caster.open_towards(points, direction)
    return points[seen]


def _rotation(pose: np.ndarray | None) -> np.ndarray:
    if pose is None:
        raise ValueError("a frame without a pose")
    return pose[:3, :3]


def _median(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
