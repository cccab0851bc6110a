"""The optimiser's loop over one category or several: one backbone, and for each category a head, vertex and
clutter features of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.category.augment import Augmenter
from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.loss import neighbour_targets, place_loss, vertex_loss
from surfpose_ros.category.model import TEMPERATURE, CategoryInfo, CategoryModel
from surfpose_ros.category.network import CategoryNetwork
from surfpose_ros.category.template import Template
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.views import TrainingViews
from surfpose_ros.progress import Progress


@dataclass(frozen=True)
class Lesson:
    """What one category is learnt from.

    Attributes:
        views: labelled pictures of its objects.
        template: their mean shape.
        info: the model's card before training.
    """

    views: TrainingViews
    template: Template
    info: CategoryInfo


class Trainer:
    """Learns all lessons together: each step takes a batch of every category."""

    def __init__(
        self, lessons: Sequence[Lesson], settings: TrainSettings, device: torch.device, share: Share
    ) -> None:
        self._settings, self._share = settings, share
        self._generator = torch.Generator(device).manual_seed(settings.seed)
        self._backbone = load_backbone(settings.backbone, device)
        adapted = self._backbone.finetune_parameters()
        for parameter in adapted:
            parameter.requires_grad_(settings.backbone_rate > 0)
        self._pupils = [
            _Pupil(lesson, self._backbone, settings, self._generator, share) for lesson in lessons
        ]
        heads = [parameter for pupil in self._pupils for parameter in pupil.network.head.parameters()]
        features = [
            part for pupil in self._pupils for part in (pupil.vertex_features, pupil.clutter_features)
        ]
        groups: list[dict[str, Any]] = [
            {"params": heads},
            {"params": adapted},
            {"params": features, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self._rates = settings.head_rate, settings.backbone_rate, settings.vertex_rate

    def run(self, progress: Progress, checkpoint: Checkpoint | None) -> list[CategoryModel]:
        """The models of all lessons; with a `checkpoint`, from where it was stopped."""
        state = self._learnt(), self._optimiser, self._generator
        done = checkpoint.restore(*state) if checkpoint else 0
        for step in range(done, self._settings.steps):
            loss = self._step(step)
            if checkpoint and self._share.first and (step + 1) % checkpoint.every == 0:
                checkpoint.save(step + 1, *state)
            if step % 10 == 9 or step + 1 == self._settings.steps:
                progress("train", step + 1, self._settings.steps, f"loss {float(loss):.3f}")
        return [pupil.model() for pupil in self._pupils]

    def _step(self, step: int) -> Tensor:
        share = rate_share(step, self._settings.steps)
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimiser.zero_grad(set_to_none=True)
        losses = []
        for pupil in self._pupils:
            loss = pupil.loss()
            loss.backward()  # of one category after the other, so that memory holds one batch
            losses.append(loss.detach())
        self._share.average_gradients(self._learnt().values())
        self._optimiser.step()
        return torch.stack(losses).mean()

    def _learnt(self) -> dict[str, nn.Parameter]:
        parameters = {
            f"backbone.{name}": parameter
            for name, parameter in self._backbone.named_parameters()
            if parameter.requires_grad
        }
        for pupil in self._pupils:
            parameters |= {f"{pupil.info.name}.{name}": value for name, value in pupil.own().items()}
        return parameters


class _Pupil:
    """One category's part of the training: its network has a head of its own on the common backbone."""

    def __init__(
        self,
        lesson: Lesson,
        backbone: Backbone,
        settings: TrainSettings,
        generator: torch.Generator,
        share: Share,
    ) -> None:
        self.info, self._template = lesson.info, lesson.template
        self._settings, self._generator, self._share = settings, generator, share
        self._device = generator.device
        self._views = lesson.views.to(self._device) if _fit(lesson.views, self._device) else lesson.views
        self.network = CategoryNetwork(backbone, settings.dimension).to(self._device).train()
        _set_memory_format(self.network, torch.channels_last)
        vertices = torch.from_numpy(lesson.template.mesh.vertices).to(self._device)
        self.vertex_features = self._random_unit(len(vertices))
        self.clutter_features = self._random_unit(settings.clutter)
        symmetries = lesson.info.symmetry.rotations().float().to(self._device)
        self._targets = neighbour_targets(vertices, settings.soft_sigma, symmetries)
        self._chances = lesson.views.chances.to(self._device)
        self._augment = Augmenter(
            settings.augmentation,
            settings.input_size,
            8,
            generator,
            make_distractors(settings.seed),
            share,
        )

    def loss(self) -> Tensor:
        """Of a new batch."""
        chosen = torch.multinomial(
            self._chances, self._settings.batch, replacement=True, generator=self._generator
        ).to(self._views.images.device)
        batch = self._views.subset(self._share.of(chosen)).to(self._device)
        images, labels, boxes, seen, _ = self._augment(batch)
        # Channels last and bfloat16 are 2.5 times faster on a CPU that knows them, and more on a GPU.
        with torch.autocast(self._device.type, torch.bfloat16):
            output = self.network(images.contiguous(memory_format=torch.channels_last))
        vertex_term = vertex_loss(
            output.features,
            labels,
            normalize(self.vertex_features, dim=-1),
            normalize(self.clutter_features, dim=-1),
            self._targets,
            TEMPERATURE,
            self._settings.clutter_weight,
        )
        place_term = place_loss(output.centres, output.sides, boxes, seen)
        return vertex_term + self._settings.place_weight * place_term

    def own(self) -> dict[str, nn.Parameter]:
        """What is learnt for this category alone, by name."""
        head = dict(self.network.head.named_parameters(prefix="head"))
        return head | {"vertices": self.vertex_features, "clutter": self.clutter_features}

    def model(self) -> CategoryModel:
        """As far as it was learnt."""
        network = self.network.eval().requires_grad_(False)
        _set_memory_format(network, torch.contiguous_format)
        return CategoryModel(
            self.info,
            self._template,
            network,
            normalize(self.vertex_features.detach(), dim=-1),
            normalize(self.clutter_features.detach(), dim=-1),
        )

    def _random_unit(self, count: int) -> nn.Parameter:
        values = torch.randn(
            count, self._settings.dimension, generator=self._generator, device=self._device
        )
        return nn.Parameter(normalize(values, dim=-1))


def _fit(views: TrainingViews, device: torch.device) -> bool:
    """Whether they take a quarter of a GPU's free memory at most: each step is then spared a copy."""
    return device.type == "cuda" and views.bytes < torch.cuda.mem_get_info(device)[0] / 4


def rate_share(step: int, steps: int) -> float:
    """Of the learning rates at a step: linear warm-up over the first 5 %, then a half cosine to zero."""
    done = step / steps
    return min(1.0, done / 0.05 + 0.02) * 0.5 * (1 + float(np.cos(np.pi * done)))


def _set_memory_format(network: nn.Module, memory_format: torch.memory_format) -> None:
    """What ``network.to(memory_format=...)`` does, which PyTorch's type hints do not know."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
