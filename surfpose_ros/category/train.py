"""Training of one category: aligned surfaces and their videos in, a model out (paper, section 3.3)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE, backbone_checksum, load_backbone
from surfpose_ros.category.augment import Augmentation, Augmenter
from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.loss import neighbour_targets, place_loss, vertex_loss
from surfpose_ros.category.mirror import find_mirror
from surfpose_ros.category.model import TEMPERATURE, CategoryInfo, CategoryModel
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import Template, mean_template
from surfpose_ros.category.views import TrainingViews, collect_views
from surfpose_ros.geometry.similarity import decompose_similarity
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.object_video import ObjectVideo


@dataclass(frozen=True)
class TrainSettings:
    """How a category is trained; the defaults are for a GPU or a patient CPU.

    Attributes:
        backbone: name in the registry.
        steps: of the optimiser.
        batch: images a step.
        input_size: side of the network's input, pixels.
        dimension: of a surface feature.
        vertices: of the template, about.
        clutter: number of clutter features.
        soft_sigma: spread of a vertex label, in object diagonals.
        clutter_weight: of clutter cells beside object cells.
        place_weight: of the loss on the object's box.
        head_rate, vertex_rate, backbone_rate: learning rates at the start; cosine to zero.
        weight_decay: of AdamW, on the network only.
        augmentation: see `Augmentation`.
        calibration: pictures on which the scores are calibrated.
        seed: two runs with one seed on one device give the same model.
    """

    backbone: str = DEFAULT_BACKBONE
    steps: int = 400
    batch: int = 64
    input_size: int = 224
    dimension: int = 128
    vertices: int = 500
    clutter: int = 8
    soft_sigma: float = 0.02
    clutter_weight: float = 0.3
    place_weight: float = 0.2
    head_rate: float = 1e-3
    vertex_rate: float = 3e-3
    backbone_rate: float = 1e-4
    weight_decay: float = 1e-2
    augmentation: Augmentation = field(default_factory=Augmentation)
    calibration: int = 160
    seed: int = 0


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
    kept = {name: np.asarray(matrix) for name, matrix in alignment.canonical_from_video.items()}
    meshes = [surfaces[name].mesh.transformed(matrix) for name, matrix in sorted(kept.items())]
    template = mean_template(meshes, settings.vertices)
    chosen = (video for video in videos if video.name in kept)
    views = collect_views(chosen, surfaces, kept, template)
    info = describe(alignment, surfaces, template, settings)
    return fit(views, template, info, settings, device, progress, checkpoint, share), views


def describe(
    alignment: Alignment, surfaces: dict[str, Surface], template: Template, settings: TrainSettings
) -> CategoryInfo:
    """The model's card before training."""
    kept = alignment.canonical_from_video
    metric = [name for name in kept if surfaces[name].metric]
    sizes = [surfaces[name].mesh.transformed(np.asarray(kept[name])).diagonal for name in metric]
    scales = [float(decompose_similarity(torch.as_tensor(np.asarray(kept[name])))[2]) for name in metric]
    diagonals = np.array(sizes) / np.array(scales)
    size_m = None
    if metric:
        size_m = {"mean": float(diagonals.mean()), "std": float(diagonals.std())}
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


def fit(
    views: TrainingViews,
    template: Template,
    info: CategoryInfo,
    settings: TrainSettings,
    device: torch.device,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    share: Share | None = None,
) -> CategoryModel:
    """Optimise network, vertex and clutter features on labelled views.

    Stopped and taken up again at a `checkpoint`, it gives the same model as in one go.
    """
    with deterministic(settings.seed, device):
        trainer = _Trainer(views, template, info, settings, device, share or Share())
        model = trainer.run(progress, checkpoint)
        return replace(model, info=replace(info, mirror=find_mirror(model, views)))


class _Trainer:
    def __init__(
        self,
        views: TrainingViews,
        template: Template,
        info: CategoryInfo,
        settings: TrainSettings,
        device: torch.device,
        share: Share,
    ) -> None:
        self.views, self.template, self.info, self.settings = views, template, info, settings
        self.device, self.share = device, share
        self.generator = torch.Generator(device).manual_seed(settings.seed)
        backbone = load_backbone(settings.backbone, device)
        self.network = CategoryNetwork(backbone, settings.dimension).to(device)
        _set_memory_format(self.network, torch.channels_last)
        vertices = torch.from_numpy(template.mesh.vertices).to(device)
        self.vertex_features = self._random_unit(len(vertices))
        self.clutter_features = self._random_unit(settings.clutter)
        symmetries = info.symmetry.rotations().float().to(device)
        self.targets = neighbour_targets(vertices, settings.soft_sigma, symmetries)
        self.augment = Augmenter(
            settings.augmentation,
            settings.input_size,
            8,
            self.generator,
            make_distractors(settings.seed),
            share,
        )
        adapted = backbone.finetune_parameters()
        for parameter in adapted:
            parameter.requires_grad_(settings.backbone_rate > 0)
        groups = [
            {"params": list(self.network.head.parameters()), "lr": settings.head_rate},
            {"params": adapted, "lr": settings.backbone_rate},
            {
                "params": [self.vertex_features, self.clutter_features],
                "lr": settings.vertex_rate,
                "weight_decay": 0.0,
            },
        ]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.rates = settings.head_rate, settings.backbone_rate, settings.vertex_rate
        self.chances = views.chances.to(device)

    def run(self, progress: Progress, checkpoint: Checkpoint | None) -> CategoryModel:
        self.network.train()
        state = self._learnt(), self.optimiser, self.generator
        done = checkpoint.restore(*state) if checkpoint else 0
        for step in range(done, self.settings.steps):
            self._set_rates(step)
            loss = self._step()
            if checkpoint and self.share.first and (step + 1) % checkpoint.every == 0:
                checkpoint.save(step + 1, *state)
            if step % 10 == 9 or step + 1 == self.settings.steps:
                progress("train", step + 1, self.settings.steps, f"loss {float(loss):.3f}")
        network = self.network.eval().requires_grad_(False)
        _set_memory_format(network, torch.contiguous_format)
        return CategoryModel(
            self.info,
            self.template,
            network,
            normalize(self.vertex_features.detach(), dim=-1),
            normalize(self.clutter_features.detach(), dim=-1),
        )

    def _step(self) -> Tensor:
        chosen = torch.multinomial(
            self.chances, self.settings.batch, replacement=True, generator=self.generator
        ).to(self.views.images.device)
        batch = self.views.subset(self.share.of(chosen)).to(self.device)
        images, labels, boxes, seen, _ = self.augment(batch)
        # Channels last and bfloat16 are 2.5 times faster on a CPU that knows them, and more on a GPU.
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.network(images.contiguous(memory_format=torch.channels_last))
        vertex_features = normalize(self.vertex_features, dim=-1)
        vertex_term = vertex_loss(
            output.features,
            labels,
            vertex_features,
            normalize(self.clutter_features, dim=-1),
            self.targets,
            TEMPERATURE,
            self.settings.clutter_weight,
        )
        place_term = place_loss(output.centres, output.sides, boxes, seen)
        loss = vertex_term + self.settings.place_weight * place_term
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.share.average_gradients(self._learnt().values())
        self.optimiser.step()
        return loss.detach()

    def _set_rates(self, step: int) -> None:
        share = rate_share(step, self.settings.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * share

    def _learnt(self) -> dict[str, nn.Parameter]:
        named = {name: value for name, value in self.network.named_parameters() if value.requires_grad}
        return named | {"vertices": self.vertex_features, "clutter": self.clutter_features}

    def _random_unit(self, count: int) -> nn.Parameter:
        values = torch.randn(count, self.settings.dimension, generator=self.generator, device=self.device)
        return nn.Parameter(normalize(values, dim=-1))


def rate_share(step: int, steps: int) -> float:
    """Of the learning rates at a step: linear warm-up over the first 5 %, then a half cosine to zero."""
    done = step / steps
    return min(1.0, done / 0.05 + 0.02) * 0.5 * (1 + float(np.cos(np.pi * done)))


def _set_memory_format(network: nn.Module, memory_format: torch.memory_format) -> None:
    """What ``network.to(memory_format=...)`` does, which PyTorch's type hints do not know."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


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


# "quick" is for the demo and for a first look: a few minutes on two cores.
PRESETS = {
    "full": TrainSettings(),
    "quick": TrainSettings(steps=160, batch=24, calibration=50),
}
