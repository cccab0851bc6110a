"""Direct regression, the paper's second comparator: the same trunk, pooled, and six numbers for a rotation.

It sees the same augmented views as the model did, for as many steps, with the same optimiser. Its trunk
has a rate of its own: at the model's it learns nothing.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.category.augment import CROP_MARGIN, Augmenter
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.loss import SEEN_LEAST
from surfpose_ros.category.train import deterministic
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.trainer import rate_share
from surfpose_ros.category.views import TrainingViews, box_crop
from surfpose_ros.evaluation.ways.way import turn_to
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import rotation_from_rotvec
from surfpose_ros.geometry.symmetry import Symmetry
from surfpose_ros.pose.estimator import assumed_camera
from surfpose_ros.pose.localise import STRIDE
from surfpose_ros.pose.looking import Box
from surfpose_ros.progress import Progress, silent

HIDDEN = 512
BACKBONE_RATE = 1e-4


class RotationNetwork(nn.Module):
    """Backbone, mean over the image, two layers, rotation."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        channels = backbone.pyramid_channels[-1]
        self.head = nn.Sequential(nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 6))

    def forward(self, images: Tensor) -> Tensor:
        """Rotations ``(B, 3, 3)`` of the objects in RGB crops in [0, 1], ``(B, 3, H, W)``."""
        pooled = self.backbone.pyramid(images)[-1].mean(dim=(-1, -2))
        return rotation_from_six(self.head(pooled).float())


class Regression:
    """A `Way`."""

    def __init__(self, network: RotationNetwork, input_size: int) -> None:
        self.network, self.input_size = network, input_size

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, camera: Camera | None, box: Box) -> Tensor:
        """What the network says of the box's crop."""
        crop, _ = box_crop(image, box, camera or assumed_camera(image), self.input_size, CROP_MARGIN)
        device = next(self.network.parameters()).device
        pixels = torch.from_numpy(crop).to(device).permute(2, 0, 1)[None].float() / 255
        return turn_to(camera, box) @ self.network(pixels)[0].cpu()


def rotation_from_six(six: Tensor) -> Tensor:
    """Rotations ``(..., 3, 3)`` whose first two columns are ``(..., 6)``, made orthonormal.

    The continuous representation of Zhou et al., CVPR 2019, equation 14.
    """
    first = normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def train_regression(
    views: TrainingViews,
    symmetry: Symmetry,
    settings: TrainSettings,
    device: torch.device,
    progress: Progress = silent,
) -> RotationNetwork:
    """Learn rotations from views; a turn that changes nothing (`symmetry`) costs nothing."""
    with deterministic(settings.seed, device):
        generator = torch.Generator(device).manual_seed(settings.seed)
        backbone = load_backbone(settings.backbone, device)
        network = RotationNetwork(backbone).to(device).train()
        things = make_distractors(settings.seed)
        augment = Augmenter(settings.augmentation, settings.input_size, STRIDE, generator, things)
        adapted = backbone.finetune_parameters()
        for parameter in adapted:
            parameter.requires_grad_(True)
        rates = settings.head_rate, BACKBONE_RATE
        groups = [{"params": list(network.head.parameters())}, {"params": adapted}]
        optimiser = torch.optim.AdamW(groups, lr=0.0, weight_decay=settings.weight_decay)
        chances = views.chances.to(device)
        turns = symmetry.rotations().float().to(device)
        for step in range(settings.steps):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * rate_share(step, settings.steps)
            chosen = torch.multinomial(chances, settings.batch, replacement=True, generator=generator)
            batch = views.subset(chosen.to(views.images.device)).to(device)
            augmented = augment(batch)
            with torch.autocast(device.type, torch.bfloat16):
                found = network(augmented.images)
            truth = _rolled(batch.rotations, augmented.rolls)
            loss = rotation_loss(found, truth, turns, augmented.seen >= SEEN_LEAST)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if step % 10 == 9 or step + 1 == settings.steps:
                progress("regress", step + 1, settings.steps, f"loss {loss.item():.3f}")
        return network.eval().requires_grad_(False)


def rotation_loss(found: Tensor, truth: Tensor, turns: Tensor, told: Tensor) -> Tensor:
    """Mean squared chord to the nearest of the equivalent truths.

    Args:
        found, truth: ``(B, 3, 3)``.
        turns: of the object that change nothing, ``(S, 3, 3)``, the identity among them.
        told: which of them count, ``(B,)`` bool.
    """
    chords = (found[:, None] - truth[:, None] @ turns).square().sum(dim=(-1, -2)).amin(dim=-1)
    return (chords * told).sum() / told.sum().clamp_min(1)


def _rolled(rotations: Tensor, rolls: Tensor) -> Tensor:
    """Rotations ``(B, 3, 3)`` of pictures that were turned clockwise by ``(B,)`` radians."""
    axis = torch.zeros(len(rolls), 3, device=rolls.device)
    axis[:, 2] = rolls
    return rotation_from_rotvec(axis) @ rotations
