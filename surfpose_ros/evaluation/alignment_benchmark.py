"""`surfpose benchmark alignment`: how well and how fast surfaces are aligned, beside other methods.

Every surface's frame is first turned, scaled and shifted at random, anew for each seed, so that nothing
of the labels' common frame can leak. Errors are of the relative rotation, over all pairs of a category.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from surfpose_ros.alignment.pairs import all_pairs
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import alignment_methods as methods
from surfpose_ros.evaluation.alignment_methods import PAPER, Method, all_at_once, one_to_one
from surfpose_ros.evaluation.alignment_truth import read_video_from_object
from surfpose_ros.evaluation.benchmark import BenchmarkResult
from surfpose_ros.evaluation.metrics import rotation_figures
from surfpose_ros.evaluation.object_symmetries import pair_errors, parse_symmetries, symmetries_of
from surfpose_ros.evaluation.tables import Cell, Table
from surfpose_ros.evenly import evenly
from surfpose_ros.geometry.similarity import decompose_similarity, random_similarity
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.surface import Surface, load_surface

OURS = AlignmentSettings(mode="free")
SETS: dict[str, dict[str, Method]] = {
    "free": {"all pairs at once, free": all_at_once(OURS)},
    "up": {"all pairs at once, up known": all_at_once(replace(OURS, mode="up"))},
    "comparators": {
        "ICP, best of 24 starts": methods.icp,
        "FPFH + RANSAC (Open3D)": methods.fpfh_ransac,
        "fast global registration (Open3D)": methods.fast_global,
        "best buddies": methods.best_buddies,
        "geometry only": one_to_one(replace(PAPER, alpha=0.0)),
        "appearance only": one_to_one(replace(PAPER, alpha=1.0)),
        "the paper's search": one_to_one(PAPER),
    },
    "ablation": {
        "paper's search": one_to_one(PAPER),
        "paper's search, by the medoid": all_at_once(replace(PAPER, reference="medoid")),
        "+ refinement": one_to_one(replace(PAPER, refine_steps=OURS.refine_steps)),
        "+ saturation, alpha 0.5": one_to_one(replace(OURS, hypotheses=1, normals=0.0)),
        "+ normals": one_to_one(replace(OURS, hypotheses=1)),
        "+ all pairs at once (ours)": all_at_once(OURS),
        "ours by the medoid": all_at_once(replace(OURS, reference="medoid")),
        "ours without normals": all_at_once(replace(OURS, normals=0.0)),
        "ours without saturation": all_at_once(replace(OURS, saturation=np.inf, last_saturation=np.inf)),
        "ours, narrow from the start": all_at_once(replace(OURS, saturation=OURS.last_saturation)),
        "ours, wide to the end": all_at_once(replace(OURS, last_saturation=OURS.saturation)),
        "ours, pairs not refined": all_at_once(replace(OURS, refine_steps=0)),
        "ours without joint descent": all_at_once(replace(OURS, joint_steps=0)),
        **{f"ours, alpha {alpha:g}": all_at_once(replace(OURS, alpha=alpha)) for alpha in (0.0, 0.2, 0.8)},
        "ours, sets of view features": all_at_once(replace(OURS, features="set")),
        "ours, up known": all_at_once(replace(OURS, mode="up")),
    },
    "map": {
        f"{alpha:g} {tau:g}": one_to_one(replace(PAPER, alpha=alpha, tau=tau, samples=300))
        for alpha, tau in product((0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0), (0.1, 0.3, 0.9, 3.0, 10.0))
    },
}


def run(
    surfaces: Annotated[list[Path], typer.Option(help="Folder of one category's surfaces; repeat.")],
    truth: Annotated[
        list[Path], typer.Option(help="Labels CSV, or truth.json of surfpose simulate; repeat.")
    ],
    root: Annotated[
        Path | None, typer.Option(help="What the CSV's image names are relative to; else its folder.")
    ] = None,
    which: Annotated[
        str, typer.Option(help="free, up, comparators, ablation, map; several by commas.")
    ] = "free,up",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with frames turned anew.")] = 3,
    symmetry: Annotated[
        list[str] | None,
        typer.Option(help="Of a category, e.g. bottle=z:inf, or an object, table/NAME=z:4; repeat."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=2, help="At most so many evenly chosen videos a category.")
    ] = 1000,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    *,
    progress: Progress = silent,
) -> BenchmarkResult:
    """Accuracy over all pairs of each category, and time, of the chosen sets of methods."""
    chosen = [name.strip() for name in which.split(",")]
    if not set(chosen) <= set(SETS):
        raise SurfposeError(f"--which {which}: choose of {', '.join(SETS)}")
    symmetries = parse_symmetries(symmetry or [])
    categories = {folder.name: _load(folder, truth, root, limit) for folder in surfaces}
    own = {
        category: symmetries_of(category, [surface.name for surface in loaded], symmetries)
        for category, (loaded, _) in categories.items()
    }
    figures: dict[str, Any] = {}
    tables = []
    total = sum(len(SETS[name]) for name in chosen) * len(categories) * seeds
    done = 0
    for name in chosen:
        figures[name] = {}
        for label, method in SETS[name].items():
            rows = {}
            for category, (loaded, video_from_object) in categories.items():
                runs = []
                for seed in range(seeds):
                    runs.append(_score(method, loaded, video_from_object, own[category], seed, device))
                    done += 1
                    progress("align", done, total, f"{label}, {category}")
                rows[category] = summary(runs)
            figures[name][label] = rows
        tables.append(_map_table(figures[name]) if name == "map" else _table(name, figures[name], seeds))
    figures["videos"] = {category: len(loaded) for category, (loaded, _) in categories.items()}
    return BenchmarkResult("alignment", figures, tables)


def turned(
    surfaces: Sequence[Surface], video_from_object: Sequence[np.ndarray], seed: int
) -> tuple[list[Surface], list[np.ndarray]]:
    """The same surfaces, each in a random frame, and their rotations in it."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    moved, rotations = [], []
    for surface, rotation in zip(surfaces, video_from_object, strict=True):
        transform = random_similarity(generator, max_log_scale=1.0, max_shift=3.0)
        turn = decompose_similarity(transform)[0].numpy()
        up = None if surface.up is None else turn @ surface.up
        moved.append(replace(surface, mesh=surface.mesh.transformed(transform.numpy()), up=up))
        rotations.append(turn @ rotation)
    return moved, rotations


def _score(
    method: Method,
    surfaces: Sequence[Surface],
    video_from_object: Sequence[np.ndarray],
    symmetries: Sequence[Symmetry],
    seed: int,
    device: str,
) -> dict[str, Any]:
    moved, rotations = turned(surfaces, video_from_object, seed)
    start = time.perf_counter()
    found = decompose_similarity(method(moved, seed, device).double().cpu())[0].numpy()
    seconds = time.perf_counter() - start
    true = np.stack(rotations)
    source, target = (index.numpy() for index in all_pairs(len(surfaces)))
    # Both are target_from_object, by the source's object: a symmetry acts on the right.
    pairs = [(symmetries[s], symmetries[t]) for s, t in zip(source, target, strict=True)]
    errors = pair_errors(found @ true[source], true[target], pairs)
    return {**rotation_figures(errors), "seconds": seconds}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of each figure over the seeds, and the spread (standard deviation) of the accuracies."""
    keys = [key for key, value in runs[0].items() if isinstance(value, int | float)]
    mean: dict[str, Any] = {key: float(np.mean([run[key] for run in runs])) for key in keys}
    mean["n"] = int(mean["n"])
    spread = {
        f"{key}_spread": float(np.std([run[key] for run in runs])) for key in ("acc30", "acc15", "acc10")
    }
    return mean | spread


def _table(name: str, figures: dict[str, Any], seeds: int) -> Table:
    categories = list(next(iter(figures.values())))
    rows: list[list[Cell]] = []
    for label, per_category in figures.items():
        cells = [_cell(per_category[category]) for category in categories]
        means = {k: np.mean([row[k] for row in per_category.values()]) for k in ("acc30", "acc15", "acc10")}
        mean = "/".join(f"{100 * value:.1f}" for value in means.values())
        seconds = float(np.mean([row["seconds"] for row in per_category.values()]))
        rows.append([label, *cells, mean, seconds])
    return Table(
        f"Alignment, {name}",
        ("method", *categories, "mean of categories", "s a category"),
        rows,
        note=f"Acc30/15/10 in % over all pairs and the median in degrees; mean of {seeds} seed(s), "
        "+- the largest standard deviation of the three.",
    )


def _cell(row: dict[str, Any]) -> str:
    accuracies = "/".join(f"{100 * row[key]:.0f}" for key in ("acc30", "acc15", "acc10"))
    spread = 100 * max(row[f"{key}_spread"] for key in ("acc30", "acc15", "acc10"))
    return f"{accuracies} +-{spread:.0f}, {row['median_deg']:.1f}"


def _map_table(figures: dict[str, Any]) -> Table:
    keys = [key.split() for key in figures]
    alphas, taus = (list(dict.fromkeys(column)) for column in zip(*keys, strict=True))
    value = {
        key: 100 * float(np.mean([row["acc15"] for row in per_category.values()]))
        for key, per_category in figures.items()
    }
    rows: list[list[Cell]] = [[alpha, *(value[f"{alpha} {tau}"] for tau in taus)] for alpha in alphas]
    return Table(
        "Paper's search, alpha by tau",
        ("alpha", *(f"tau {tau}" for tau in taus)),
        rows,
        note="Acc15 in %, mean of the categories; 300 samples a pair.",
        digits=1,
    )


def _load(
    folder: Path, truth: Sequence[Path], root: Path | None, limit: int
) -> tuple[list[Surface], list[np.ndarray]]:
    names = evenly(sorted(path.stem for path in folder.glob("*.safetensors")), limit)
    if len(names) < 2:
        raise SurfposeError(f"{folder}: {len(names)} surface(s) there; the benchmark needs two at least")
    loaded = [load_surface(folder, name) for name in names]
    return loaded, read_video_from_object(loaded, truth, root)
