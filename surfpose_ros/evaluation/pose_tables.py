"""Figures and tables of a pose evaluation: accuracy, flips, by direction of view and by occlusion."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfpose_ros.evaluation.detections import detection_figures
from surfpose_ros.evaluation.metrics import (
    FLIP_DEG,
    Array,
    accuracy,
    bootstrap_interval,
    rotation_figures,
    within,
)
from surfpose_ros.evaluation.pose import MATCH_OVERLAP, Outcome, constant_guess
from surfpose_ros.evaluation.tables import Cell, Table

SIDES = ("front", "left", "rear", "right")
_SHOWN = ("acc30", "acc15", "acc10", "median_deg")
_COLUMNS = ("Acc30", "Acc15", "Acc10", "median")
# Short names of columns fit a terminal of 80 characters.
_UNITS = ", accuracies in per cent, angles in degrees"
_CSV_COLUMNS = (
    "image", "category", "score", "error_deg", "symmetric_deg", "heading_deg", "best_hypothesis_deg",
    "translation_m", "box_overlap", "box_overlap_3d", "azimuth_deg", "occlusion", "seconds",
    *(f"r{row}{column}" for row in range(3) for column in range(3)), "tx", "ty", "tz",
)  # fmt: skip


def pose_figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything that goes into the JSON file; fractions, degrees, metres, seconds."""
    errors = np.array([outcome.error_deg for outcome in outcomes])
    headings = np.array([outcome.heading_deg for outcome in outcomes])
    rotations = np.stack([outcome.sample.rotation for outcome in outcomes])
    groups = [outcome.sample.group for outcome in outcomes]
    figures: dict[str, Any] = {
        **rotation_figures(errors),
        "acc30_interval": list(bootstrap_interval(errors, groups, _acc30)),
        "found": float(np.isfinite(errors).mean()),
        "flips": float((np.abs(headings) > FLIP_DEG).mean()),
        "symmetric": rotation_figures([outcome.symmetric_deg for outcome in outcomes]),
        "best_hypothesis": rotation_figures([outcome.rival_deg for outcome in outcomes]),
        "surest_half": rotation_figures(errors[_surest_half(outcomes)]),
        "constant_guess": rotation_figures(constant_guess(rotations)),
        "median_seconds": float(np.median([outcome.seconds for outcome in outcomes])),
    }
    if any(outcome.sample.translation is not None for outcome in outcomes):
        figures["translation"] = _translation_figures(outcomes)
    if any(outcome.found for outcome in outcomes):
        figures["detection"] = _detection_figures(outcomes)
    if any(outcome.sample.box is not None for outcome in outcomes):
        overlaps = np.array([outcome.overlap for outcome in outcomes])
        figures["box_overlap"] = {
            "median": float(np.median(np.nan_to_num(overlaps))),
            "at_50": float((overlaps >= MATCH_OVERLAP).mean()),
        }
    return figures


def pose_tables(outcomes: Sequence[Outcome], note: str = "") -> list[Table]:
    """Accuracy beside the constant guess; by direction; sides confused; by occlusion where it is known."""
    figures = pose_figures(outcomes)
    low, high = figures["acc30_interval"]
    rows: list[list[Cell]] = [
        ["the model", *_cells(figures), 100 * figures["flips"], f"{100 * low:.0f}-{100 * high:.0f}"]
    ]
    others = [("its surest half", "surest_half"), ("the best of its hypotheses", "best_hypothesis")]
    if figures["symmetric"] != rotation_figures([outcome.error_deg for outcome in outcomes]):
        others.insert(0, ("the model, symmetry forgiven", "symmetric"))
    for name, key in [*others, ("constant best guess", "constant_guess")]:
        rows.append([name, *_cells(figures[key]), None, ""])
    columns = ("", "n", *_COLUMNS, "flips", "Acc30 95%")
    tables = [Table(f"Rotation{_UNITS}", columns, rows, note)]
    if "translation" in figures:
        tables.append(_translation_table(figures["translation"]))
    if "detection" in figures:
        tables.append(_detection_table(figures["detection"]))
    tables.append(_grouped("By direction of view", "seen from", outcomes, _direction, _directions()))
    tables.append(confusion_table(outcomes))
    occlusions = sorted({outcome.sample.occlusion for outcome in outcomes})
    if occlusions != [""]:
        tables.append(
            _grouped("By occlusion", "occlusion", outcomes, lambda o: o.sample.occlusion, occlusions)
        )
    return tables


def confusion_table(outcomes: Sequence[Outcome]) -> Table:
    """Which side the camera saw against which side the model said, in per cent of each row."""
    counts = np.zeros((4, 4))
    missed = np.zeros(4)
    for outcome in outcomes:
        true = outcome.sample.azimuth_deg
        if np.isnan(outcome.heading_deg):
            missed[_side(true)] += 1
        else:
            # The object turned by h under a camera that stays: it stands h less far round.
            counts[_side(true), _side(true - outcome.heading_deg)] += 1
    rows: list[list[Cell]] = []
    for side, name in enumerate(SIDES):
        total = counts[side].sum() + missed[side]
        row = [*counts[side], missed[side]]
        shares = [100 * float(count) / total if total else None for count in row]
        rows.append([name, int(total), *shares])
    columns = ("seen", "n", *(f"said {side}" for side in SIDES), "nothing")
    return Table("Which side was taken for which, in per cent", columns, rows)


def outcomes_csv(outcomes: Sequence[Outcome]) -> str:
    """One row an image: truth, estimate, errors, score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for outcome in outcomes:
        numbers = [
            outcome.error_deg, outcome.symmetric_deg, outcome.heading_deg, outcome.rival_deg,
            outcome.translation_m, outcome.overlap, outcome.overlap_3d, outcome.sample.azimuth_deg,
        ]  # fmt: skip
        pose = [*outcome.pose[:3, :3].ravel(), *outcome.pose[:3, 3]]
        writer.writerow(
            [
                outcome.sample.name,
                outcome.sample.category,
                f"{outcome.score:.4f}",
                *map(_number, numbers),
                outcome.sample.occlusion,
                f"{outcome.seconds:.4f}",
                *map(_number, pose),
            ]
        )
    return text.getvalue()


def _detection_figures(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """Precision and recall of what was found, with its pose within 30 degrees and its box on the object.

    Images may show several labelled objects; each detection counts once.
    """
    found = {(o.sample.path, d.box, d.score): d for o in outcomes for d in o.found}
    right = {
        (o.sample.path, o.detection.box, o.detection.score)
        for o in outcomes
        if o.detection is not None and o.symmetric_deg < 30
    }
    scores = [detection.score for detection in found.values()]
    figures = detection_figures(scores, [key in right for key in found], len(outcomes))
    return {
        "detections": len(found),
        "average_precision30": figures.average_precision,
        "precision30": float(figures.precision[-1]) if len(found) else 0.0,
        "recall30": float(figures.recall[-1]) if len(found) else 0.0,
    }


def _detection_table(figures: dict[str, float | int]) -> Table:
    shares = [100 * figures[f"{key}30"] for key in ("precision", "recall", "average_precision")]
    columns = ("detections", "precision", "recall", "average precision")
    return Table(
        "Found and within 30 degrees, in per cent", columns, [[int(figures["detections"]), *shares]]
    )


def _translation_figures(outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    known = [outcome for outcome in outcomes if outcome.sample.translation is not None]
    rotation = np.array([outcome.symmetric_deg for outcome in known])
    translation = np.array([outcome.translation_m for outcome in known])
    overlap = np.array([outcome.overlap_3d for outcome in known])
    share = translation / [np.linalg.norm(np.asarray(outcome.sample.translation)) for outcome in known]
    found = translation[np.isfinite(translation)]
    figures: dict[str, float | None] = {
        "n": len(known),
        "median_m": float(np.median(found)) if found.size else None,
        "5deg_5cm": within(rotation, translation, 5, 0.05),
        "10deg_10cm": within(rotation, translation, 10, 0.10),
        "5_percent": accuracy(share, 0.05),
        "1_percent": accuracy(share, 0.01),
        "add10": accuracy([outcome.add for outcome in known], 0.1),
        "adds10": accuracy([outcome.adds for outcome in known], 0.1),
    }
    if any(outcome.sample.size is not None for outcome in known):
        figures |= {f"iou{level}": float((overlap >= level / 100).mean()) for level in (25, 50, 75)}
    return figures


def _translation_table(figures: dict[str, float | None]) -> Table:
    median = figures["median_m"]
    shares = {key: value for key, value in figures.items() if key not in ("n", "median_m")}
    names = {
        "5deg_5cm": "5 deg 5 cm %",
        "10deg_10cm": "10 deg 10 cm %",
        "5_percent": "5 % off",
        "1_percent": "1 % off",
        "add10": "ADD %",
        "adds10": "ADD-S %",
    }
    columns = ["n", "median cm", *(names.get(key, f"3D IoU {key[3:]} %") for key in shares)]
    cells: list[Cell] = [int(figures["n"] or 0), None if median is None else 100 * median]
    return Table("Position", columns, [[*cells, *(100 * (value or 0.0) for value in shares.values())]])


def _grouped(
    title: str, name: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], str], order: Sequence[str]
) -> Table:
    rows: list[list[Cell]] = []
    for group in order:
        members = [outcome for outcome in outcomes if key(outcome) == group]
        if members:
            flips = np.mean([abs(outcome.heading_deg) > FLIP_DEG for outcome in members])
            figures = rotation_figures([outcome.error_deg for outcome in members])
            rows.append([group or "not said", *_cells(figures), 100 * float(flips)])
    return Table(title + _UNITS, (name, "n", *_COLUMNS, "flips"), rows)


def _surest_half(outcomes: Sequence[Outcome]) -> NDArray[np.intp]:
    scores = np.array([outcome.score for outcome in outcomes])
    return np.argsort(-scores, kind="stable")[: (len(scores) + 1) // 2]


def _cells(figures: dict[str, Any]) -> list[Cell]:
    return [
        figures["n"],
        *(100 * figures[key] if key.startswith("acc") else figures[key] for key in _SHOWN),
    ]


def _side(azimuth_deg: float) -> int:
    return round(azimuth_deg / 90) % 4


def _directions() -> list[str]:
    return ["front", "front left", "left", "rear left", "rear", "rear right", "right", "front right"]


def _direction(outcome: Outcome) -> str:
    return _directions()[round(outcome.sample.azimuth_deg / 45) % 8]


def _occlusion(outcome: Outcome) -> str:
    return outcome.sample.occlusion


def _acc30(errors: Array) -> float:
    return float((errors < 30).mean())


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.5g}"
