"""Training: aligned surfaces and their videos in, category models out (paper, section 3.3)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.backbones.registry import backbone_checksum, load_backbone
from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.fitting import SAMPLES, surface_points
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.mirror import find_mirror
from surfpose_ros.category.model import CategoryInfo, CategoryModel
from surfpose_ros.category.template import Labeller, Template, mean_template
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.trainer import Lesson, Trainer
from surfpose_ros.category.views import TrainingViews, collect_views
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import ObjectVideo


def train_category(
    videos: Iterable[ObjectVideo],
    surfaces: dict[str, Surface],
    alignment: Alignment,
    settings: TrainSettings,
    device: torch.device,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    share: Share | None = None,
) -> tuple[CategoryModel, TrainingViews]:
    """Train on the videos that the alignment kept; `videos` may be read lazily, one by one.

    With a `checkpoint`, the training's state is kept there and taken up again. With a `share` of several
    processes, all of them call this with the same arguments.

    Returns:
        The model, its scores not calibrated yet, and the views that it was trained on.
    """
    lesson = prepare(videos, surfaces, alignment, settings)
    return fit([lesson], settings, device, progress, checkpoint, share)[0], lesson.views


def prepare(
    videos: Iterable[ObjectVideo],
    surfaces: dict[str, Surface],
    alignment: Alignment,
    settings: TrainSettings,
) -> Lesson:
    """What one category is learnt from: labelled views of the videos that the alignment kept."""
    kept = {name: np.asarray(matrix) for name, matrix in alignment.canonical_from_video.items()}
    meshes = [surfaces[name].mesh.transformed(matrix) for name, matrix in sorted(kept.items())]
    template = mean_template(meshes, settings.vertices)
    chosen = (video for video in videos if video.name in kept)
    views = collect_views(chosen, surfaces, kept, template)
    return Lesson(views, template, describe(alignment, surfaces, template, settings))


def describe(
    alignment: Alignment, surfaces: dict[str, Surface], template: Template, settings: TrainSettings
) -> CategoryInfo:
    """The model's card before training."""
    kept = alignment.canonical_from_video
    size_m = None
    if metric := [name for name in kept if surfaces[name].metric]:
        labeller = Labeller(template)
        sizes = [_size_m(surfaces[name], np.asarray(kept[name]), labeller) for name in metric]
        size_m = {"mean": float(np.mean(sizes)), "std": float(np.std(sizes))}
    backbone = load_backbone(settings.backbone)
    return CategoryInfo(
        name=alignment.category,
        backbone=settings.backbone,
        backbone_sha256=backbone_checksum(backbone),
        input_size=settings.input_size,
        size_m=size_m,
        extent_log_std=[float(value) for value in template.extent_log_std],
        symmetry=alignment.symmetry,
        axes=alignment.axes,
        captures={name: np.asarray(matrix).tolist() for name, matrix in kept.items()},
    )


def _size_m(surface: Surface, canonical_from_video: np.ndarray, labeller: Labeller) -> float:
    """The template's diagonal in metres where it is as large as a metric surface.

    As the parts that both have are spread: distances follow from these, not from tips that only one has.
    """
    mesh = surface.mesh.transformed(canonical_from_video)
    own, fit = surface_points(mesh, SAMPLES), labeller.fit(mesh)
    shared = labeller(fit(own)) != CLUTTER
    scale = float(decompose_similarity(torch.from_numpy(canonical_from_video))[2])
    return _spread(own[shared]) / _spread(fit(own[shared])) / scale


def _spread(points: np.ndarray) -> float:
    return float(np.sqrt(points.var(axis=0).sum()))


def fit(
    lessons: Sequence[Lesson],
    settings: TrainSettings,
    device: torch.device,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    share: Share | None = None,
) -> list[CategoryModel]:
    """Optimise heads, vertex and clutter features of all categories, and the backbone that they share.

    Stopped and taken up again at a `checkpoint`, it gives the same models as in one go.
    """
    with deterministic(settings.seed, device):
        models = Trainer(lessons, settings, device, share or Share()).run(progress, checkpoint)
        return [
            replace(model, info=replace(model.info, mirror=find_mirror(model, lesson.views)))
            for model, lesson in zip(models, lessons, strict=True)
        ]


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's global random numbers from `seed` and, on a GPU, only repeatable kernels in the block."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(device.type == "cuda", warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
