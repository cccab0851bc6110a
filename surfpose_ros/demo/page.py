"""The demo's page: every stage in pictures, and the errors against the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surfpose_ros.alignment.alignment import read_alignment
from surfpose_ros.alignment.picture import draw, feature_colours
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.evaluation.benchmark import machine, write_picture
from surfpose_ros.evaluation.metrics import rotation_figures
from surfpose_ros.evaluation.pose import Outcome
from surfpose_ros.evaluation.pose_tables import pose_figures, pose_tables
from surfpose_ros.evaluation.report import Report
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.drawing import draw_axes, draw_outline, resized
from surfpose_ros.surface.surface import load_surface
from surfpose_ros.video.reader import read_capture

MASK_COLOUR = (255, 176, 0)
OVERLAY_SIZE = (480, 360)
FRONT_SEEN = 0.02  # share of the visible pixels from which on it can be made out


def write_page(
    path: Path,
    model: CategoryModel,
    captures: Sequence[Path],
    work: Path,
    outcomes: Sequence[Outcome],
    front_seen: Mapping[str, float],
    seconds: Mapping[str, float],
) -> Path:
    """Write the self-contained HTML page.

    Args:
        path: of the page; `demo.jpg`, its first picture, is written beside it.
        model: that was learnt.
        captures: that it was learnt from.
        work: folder with their surfaces and alignment.
        outcomes: of the pictures.
        front_seen: of each picture, by its name, what share of the object tells the front.
        seconds: that each stage took.
    """
    category = model.info.name
    figures = pose_figures(outcomes)
    report = Report(
        f"Surfpose demo: {category}s",
        f"{len(captures)} simulated {category}s recorded over ROS, learnt without a label, and "
        f"{len(outcomes)} pictures of {category}s never seen before. "
        + ", ".join(f"{key} {value}" for key, value in machine().items() if key != "gpu"),
    )
    report.add_text(_headline(figures))
    _add_poses(report, model, outcomes, front_seen, path.with_name("demo.jpg"))
    _add_recordings(report, captures)
    _add_alignment(report, model, work)
    report.add_heading("Every picture")
    report.add_table(picture_table(outcomes))
    report.add_table(Table("Time", ("stage", "s"), [[key, value] for key, value in seconds.items()]))
    return report.write(path)


def _add_poses(
    report: Report,
    model: CategoryModel,
    outcomes: Sequence[Outcome],
    front_seen: Mapping[str, float],
    picture: Path,
) -> None:
    """Overlays and errors; the first overlays go into a file of their own, too."""
    report.add_heading("Live poses of objects it never saw")
    report.add_text(
        "Axes: x front (red), y left (green), z up (blue); the outline is the category's mean shape. "
        "Captions: rotation error, distance error. Where what tells the front is hidden (a handle), no "
        "method can know the turn about the upright axis; those pictures count as errors here."
    )
    overlays = [_overlay(outcome, model) for outcome in outcomes]
    first = _montage([image for _, image in overlays[:6]])
    write_picture(picture, first)
    report.add_picture(first, "The first six, as pose_node saw them")
    report.add_gallery(overlays, "All of them")
    report.add_histogram(
        {
            "best guess": _finite([outcome.error_deg for outcome in outcomes]),
            "best of its hypotheses": _finite([outcome.rival_deg for outcome in outcomes]),
        },
        "Rotation error",
        "degrees",
    )
    report.add_table(front_table(outcomes, front_seen))
    for table in pose_tables(outcomes):
        report.add_table(table)


def _add_recordings(report: Report, captures: Sequence[Path]) -> None:
    report.add_heading("Recorded")
    report.add_text(
        "Four of each capture's frames, with the mask that was found against the empty turntable."
    )
    sheets = [_contact_sheet(folder) for folder in captures]
    report.add_gallery(sheets, "capture_node's bags, as they are read")


def _add_alignment(report: Report, model: CategoryModel, work: Path) -> None:
    report.add_heading("Aligned, with no label")
    report.add_text(
        "One mesh a recording, in the frame that all of them agreed on, from one viewpoint; colours are "
        "features. One that is turned the wrong way would leap to the eye."
    )
    caption = "Meshes in the canonical frame (percentages: agreement with the others)"
    report.add_gallery(_aligned(work), caption)
    shape = {model.info.name: model.template.mesh}
    report.add_meshes(shape, "The category's mean shape; turn it with the mouse")


def picture_table(outcomes: Sequence[Outcome]) -> Table:
    """One row a picture."""
    rows: list[list[Cell]] = []
    for outcome in outcomes:
        distance = None if outcome.sample.translation is None else float(outcome.sample.translation[2])
        found = outcome.detection is not None
        rows.append(
            [
                Path(outcome.sample.name).stem,
                outcome.sample.group,
                outcome.error_deg if found else None,
                outcome.rival_deg if found else None,
                1000 * outcome.translation_m if found else None,
                distance,
                outcome.score if found else None,
                1000 * outcome.seconds,
            ]
        )
    columns = (
        "picture",
        "object",
        "rotation deg",
        "best hyp. deg",
        "position mm",
        "distance m",
        "score",
        "ms",
    )
    return Table("Against the truth", columns, rows, "A dash: nothing was found.", digits=1)


def front_table(outcomes: Sequence[Outcome], front_seen: Mapping[str, float]) -> Table:
    """Accuracy where the part that tells the front is seen, and where it is hidden."""
    rows: list[list[Cell]] = []
    for name, seen in (("seen", True), ("hidden", False)):
        chosen = [outcome for outcome in outcomes if (front_seen[outcome.sample.name] > FRONT_SEEN) == seen]
        if chosen:
            figures = rotation_figures([outcome.error_deg for outcome in chosen])
            tilt = np.median([_tilt_deg(outcome) for outcome in chosen])
            shares = [100 * (figures[key] or 0.0) for key in ("acc30", "acc15", "acc10")]
            rows.append([name, figures["n"], *shares, figures["median_deg"], float(tilt)])
    columns = ("what tells the front is", "n", "Acc30 %", "Acc15 %", "Acc10 %", "median deg", "tilt deg")
    note = "Tilt: the angle between the upright axes, which every picture tells."
    return Table("Rotation, by whether the front can be known", columns, rows, note)


def _tilt_deg(outcome: Outcome) -> float:
    cosine = outcome.pose[:3, 2] @ outcome.sample.rotation[:, 2]
    return 180.0 if np.isnan(cosine) else float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def _headline(figures: dict[str, Any]) -> str:
    return (
        f"{100 * figures['acc30']:.0f} % of the pictures were within 30 degrees of the truth, "
        f"{100 * figures['acc15']:.0f} % within 15; the median error was {figures['median_deg']:.1f} deg."
    )


def _overlay(outcome: Outcome, model: CategoryModel) -> tuple[str, np.ndarray]:
    image, camera = outcome.sample.read()
    detection = outcome.detection
    if detection is None or camera is None:
        return "nothing found", cv2.resize(image, OVERLAY_SIZE, interpolation=cv2.INTER_AREA)
    pose = detection.hypotheses[0].camera_from_object
    draw_outline(image, camera, pose, resized(model.template.mesh, detection.size), MASK_COLOUR)
    draw_axes(image, camera, pose, 0.6 * float(np.linalg.norm(detection.size)))
    text = f"{outcome.error_deg:.1f}°, {1000 * outcome.translation_m:.0f} mm"
    return text, _around(image, camera, pose, float(np.linalg.norm(detection.size)))


def _around(image: np.ndarray, camera: Camera, pose: np.ndarray, diagonal: float) -> np.ndarray:
    """The part of the picture round the object, so that it can be seen in a small one."""
    height, width = image.shape[:2]
    focal = camera.matrix[0, 0]
    side = int(np.clip(2.6 * focal * diagonal / max(pose[2, 3], 1e-3), 160, height))
    pixel = camera.matrix @ pose[:3, 3]
    u, v = pixel[:2] / pixel[2]
    left = int(np.clip(u - 2 * side / 3, 0, max(width - 4 * side // 3, 0)))
    top = int(np.clip(v - side / 2, 0, height - side))
    part = image[top : top + side, left : left + 4 * side // 3]
    interpolation = cv2.INTER_AREA if side > OVERLAY_SIZE[1] else cv2.INTER_CUBIC
    return cv2.resize(part, OVERLAY_SIZE, interpolation=interpolation)


def _montage(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Equal pictures in rows of three."""
    cells = [*pictures, *[np.full_like(pictures[0], 255)] * (-len(pictures) % 3)]
    return np.vstack([np.hstack(cells[start : start + 3]) for start in range(0, len(cells), 3)])


def _contact_sheet(folder: Path) -> tuple[str, np.ndarray]:
    tiles = []
    for frame in read_capture(folder, max_frames=8).frames[::2][:4]:
        tile = frame.image.copy()
        if frame.mask is not None:
            contours, _ = cv2.findContours(
                frame.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(tile, contours, -1, MASK_COLOUR, 3, cv2.LINE_AA)
        tiles.append(cv2.resize(tile, (240, 180), interpolation=cv2.INTER_AREA))
    tiles += [np.full_like(tiles[0], 255)] * (4 - len(tiles))
    return folder.name, np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:4])])


def _aligned(work: Path) -> list[tuple[str, np.ndarray]]:
    alignment = read_alignment(work / "alignment.json")
    surfaces = [load_surface(work / "surfaces", name) for name in alignment.canonical_from_video]
    pictures = []
    for surface, colour in zip(surfaces, feature_colours(surfaces), strict=True):
        shaded = draw(surface, alignment.canonical_from_video[surface.name], colour)
        caption = f"{surface.name}, {alignment.confidence[surface.name]:.0%}"
        pictures.append((caption, (255 * shaded).astype(np.uint8)))
    return pictures


def _finite(values: Sequence[float]) -> np.ndarray:
    array = np.array(values)
    return np.asarray(array[np.isfinite(array)])
