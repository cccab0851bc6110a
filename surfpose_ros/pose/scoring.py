"""How well hypotheses explain a feature map: likelihoods sampled at projected visible vertices.

Every vertex may be explained by clutter instead, so hidden parts cost little (paper, section 3.4).
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.pose.hypotheses import ViewTable

TEMPERATURE = 0.1  # softer than in training: of objects that it never saw, a network is too sure


def log_likelihoods(model: CategoryModel, features: Tensor) -> Tensor:
    """Log-probability of every vertex and of clutter in every cell.

    Args:
        features: unit, ``(B, D, h, w)``.

    Returns:
        ``(B, V + 1, h, w)``, log-softmax over the first axis after the batch; the last is clutter.
    """
    cells = features.permute(0, 2, 3, 1).float()
    flat = cells.flatten(0, 2)
    vertex = flat @ model.vertex_features.T / TEMPERATURE
    clutter = (flat @ model.clutter_features.T / TEMPERATURE).logsumexp(dim=-1, keepdim=True)
    volume = torch.cat([vertex, clutter], dim=-1).log_softmax(dim=-1)
    return volume.unflatten(0, cells.shape[:3]).permute(0, 3, 1, 2)


def with_mirror_image(log_probability: Tensor, mirrored: Tensor, partner: Tensor) -> Tensor:
    """What a crop and its mirror image say together: the mean of their log-probabilities.

    Args:
        log_probability: of the crop's cells, ``(B, V + 1, h, w)``.
        mirrored: of the mirrored crop's.
        partner: the mirror image of each vertex, ``(V,)``.
    """
    clutter = torch.full_like(partner[:1], len(partner))
    other = mirrored.flip(-1).index_select(1, torch.cat([partner, clutter]))
    both = ((log_probability + other) / 2).permute(0, 2, 3, 1)
    return both.log_softmax(dim=-1).permute(0, 3, 1, 2)  # much faster where the vertices lie side by side


def evidence_maps(log_probability: Tensor, reach: int = 3) -> Tensor:
    """Evidence of every vertex over clutter near every cell, ``(B, V, h, w)``; never below zero.

    ``max(log p(vertex), log p(clutter)) - log p(clutter)``, taken as the best within `reach` cells, which
    forgives the coarse steps between hypotheses.
    """
    ratio = (log_probability[:, :-1] - log_probability[:, -1:]).clamp_min(0)
    return max_pool2d(ratio, reach, stride=1, padding=reach // 2) if reach > 1 else ratio


def score_views(evidence: Tensor, table: ViewTable, boxes: Tensor) -> Tensor:
    """Mean evidence at each view's visible vertices, its outline fitted to the object's box.

    Args:
        evidence: ``(B, V, h, w)`` of each object.
        table: of the template.
        boxes: (low x, low y, high x, high y) in cells, cell centres at integers, ``(B, P, 4)``: several
            placements of each to try.

    Returns:
        ``(B, P, N)``.
    """
    evidence = pad(evidence, (1, 1, 1, 1, 0, 1))  # zero beyond the map, and for vertices that are none
    count, vertices, height, width = evidence.shape
    scale, centre = place(table, boxes)
    column, row = (
        torch.addcmul(centre[..., None, None, side], table.points[side], scale[..., side, None])
        for side in (0, 1)
    )  # (B, P, N, M), in cells of the unpadded map
    column = column.round_().clamp_(-1, width - 2)
    row = row.round_().clamp_(-1, height - 2)
    first = torch.arange(count, device=evidence.device, dtype=torch.int32) * (vertices * height * width)
    vertex = table.vertices * (height * width) + (width + 1)
    index = column.add_(row, alpha=width).int().add_(vertex).add_(first[:, None, None, None])
    values = evidence.flatten().index_select(0, index.flatten()).view_as(index)
    return values.sum(dim=-1) / table.counts


def place(table: ViewTable, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Scale ``(..., P, N, 2)`` and centre ``(..., P, 2)`` in cells with which views' outlines fill boxes.

    Scale is the geometric mean of the two sides' ratios, each side stretched at most 15 % from it:
    objects differ in their proportions.
    """
    size = boxes[..., None, 2:] - boxes[..., None, :2]
    ratio = (size / table.extents).clamp_min(1e-6).log()
    mean = ratio.mean(dim=-1, keepdim=True)
    scale = (mean + (ratio - mean).clamp(-0.15, 0.15)).exp()
    return scale, (boxes[..., 2:] + boxes[..., :2]) / 2


def foreground_box(foreground: Tensor, share: float = 0.02) -> Tensor:
    """Boxes ``(B, 4)`` of maps ``(B, h, w)`` that leave `share` of the foreground beyond each side."""
    lows, highs = [], []
    for axis in (1, 2):
        mass = foreground.sum(dim=axis).cumsum(dim=-1)
        mass = mass / mass[:, -1:].clamp_min(1e-6)
        last = mass.shape[-1] - 1
        lows.append((mass < share).sum(dim=-1).clamp_max(last) - 0.5)
        highs.append((mass < 1 - share).sum(dim=-1).clamp_max(last) + 0.5)
    return torch.stack([*lows, *highs], dim=-1)
