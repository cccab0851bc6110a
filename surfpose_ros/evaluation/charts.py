"""Charts of a pose evaluation, as matplotlib figures for the report."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from surfpose_ros.evaluation.metrics import FLIP_DEG
from surfpose_ros.evaluation.pose import Outcome

SECTORS = 12


def by_azimuth(outcomes: Sequence[Outcome]) -> Figure:
    """Accuracy and flips by where the camera stands about the object: 0 in front of it, 90 at its left."""
    width = 360 / SECTORS
    names = [f"{width * sector:.0f}" for sector in range(SECTORS)]

    def sector(outcome: Outcome) -> str:
        return names[round(outcome.sample.azimuth_deg / width) % SECTORS]

    figure, axes = _figure()
    _bars(axes, outcomes, sector, names)
    axes.set_xlabel("azimuth of the camera, degrees (0 front, 90 left, 180 rear, 270 right)")
    return figure


def by_occlusion(outcomes: Sequence[Outcome]) -> Figure:
    """Accuracy and flips by how much of the object is hidden."""
    names = sorted({outcome.sample.occlusion for outcome in outcomes})
    figure, axes = _figure()
    _bars(axes, outcomes, lambda outcome: outcome.sample.occlusion, names)
    return figure


def reliability(outcomes: Sequence[Outcome], bins: int = 8) -> Figure:
    """Share of answers within 30 degrees against the score that the model gave them."""
    scores = np.array([outcome.score for outcome in outcomes])
    right = np.array([outcome.symmetric_deg < 30 for outcome in outcomes])
    which = np.minimum((scores * bins).astype(int), bins - 1)
    figure, axes = _figure()
    filled = [index for index in range(bins) if (which == index).any()]
    centres = [float(scores[which == index].mean()) for index in filled]
    shares = [100 * float(right[which == index].mean()) for index in filled]
    counts = [int((which == index).sum()) for index in filled]
    axes.plot(
        [0, 1], [0, 100], color="grey", linewidth=1, linestyle="--", label="a score that is a probability"
    )
    axes.plot(centres, shares, marker="o", label="measured, with the number of images")
    for x, y, count in zip(centres, shares, counts, strict=True):
        axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(4, 6), fontsize=8)
    axes.set(xlabel="score", ylabel="right within 30 degrees, %", xlim=(0, 1), ylim=(0, 108))
    axes.legend(frameon=False)
    return figure


def growth(axis: str, sizes: Sequence[float], values: Sequence[float], unit: str) -> Figure:
    """A measured value against a size, both logarithmic, and how it would grow in proportion."""
    figure, axes = _figure()
    axes.loglog(sizes, values, marker="o", label="measured")
    proportional = [values[-1] * size / sizes[-1] for size in sizes]
    axes.loglog(sizes, proportional, color="grey", linewidth=1, linestyle="--", label="in proportion")
    axes.set(xlabel=axis, ylabel=unit)
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.legend(frameon=False)
    return figure


def as_picture(figure: Figure) -> np.ndarray:
    """The figure drawn, ``(H, W, 3)`` uint8 RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _bars(
    axes: Axes, outcomes: Sequence[Outcome], group: Callable[[Outcome], str], names: Sequence[str]
) -> None:
    members = [[outcome for outcome in outcomes if group(outcome) == name] for name in names]
    for offset, label, good in (
        (-0.27, "within 30 degrees", lambda o: o.symmetric_deg < 30),
        (0.0, "within 10 degrees", lambda o: o.symmetric_deg < 10),
        (0.27, "flipped", lambda o: abs(o.heading_deg) > FLIP_DEG),
    ):
        shares = [100 * float(np.mean([good(o) for o in group])) if group else 0.0 for group in members]
        axes.bar(np.arange(len(names)) + offset, shares, 0.26, label=label)
    ticks = [f"{name or 'not said'}\nn={len(group)}" for name, group in zip(names, members, strict=True)]
    axes.set_xticks(np.arange(len(names)), ticks)
    axes.set(ylabel="%", ylim=(0, 100))
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
