"""What training minimises: each cell must name the template vertex it shows, and the image its
object's box.

The vertex loss is the paper's contrastive cross-entropy (section 3.3) over all vertices and clutter, with
targets spread over the vertices near the right one.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding, logsigmoid

CLUTTER = -1  # label of a cell that shows no part of the object
IGNORED = -2  # label of a cell that teaches nothing (object, but not known which part)
SEEN_LEAST = 0.25  # of an object, below which nobody could say where it is


def neighbour_targets(vertices: Tensor, sigma: float, symmetries: Tensor | None = None) -> Tensor:
    """Soft target of each vertex: a Gaussian over the vertices near it, ``(V, V)``, rows sum to one.

    Args:
        vertices: template, ``(V, 3)``, canonical frame.
        sigma: in canonical units (mean diagonals).
        symmetries: rotations ``(S, 3, 3)`` that leave the category unchanged, identity included; the
            images of a vertex under them share its target, so they are not pushed apart.
    """
    images = vertices[None] if symmetries is None else vertices @ symmetries.transpose(-1, -2)
    distance = torch.cdist(images, vertices[None].expand_as(images))  # (S, V, V)
    weight = torch.exp(-0.5 * (distance / sigma) ** 2).sum(dim=0) + 1e-9
    return weight / weight.sum(dim=-1, keepdim=True)


def vertex_loss(
    features: Tensor,
    labels: Tensor,
    vertex_features: Tensor,
    clutter_features: Tensor,
    targets: Tensor,
    temperature: float,
    clutter_weight: float,
) -> Tensor:
    """Cross-entropy of every cell against all vertices and clutter.

    Args:
        features: unit, ``(B, D, h, w)``.
        labels: vertex index of each cell, `CLUTTER` or `IGNORED`, ``(B, h, w)`` int64.
        vertex_features: unit, ``(V, D)``.
        clutter_features: unit, ``(K, D)``; a cell's clutter logit is the log-sum-exp over them.
        targets: of `neighbour_targets`, ``(V, V)``.
        temperature: of the softmax.
        clutter_weight: weight of the mean loss over clutter cells beside that over object cells.
    """
    cells = features.permute(0, 2, 3, 1).flatten(0, 2).float()
    flat = labels.flatten()
    vertex = (cells @ (vertex_features.T / temperature)).logsumexp(dim=-1)
    clutter = (cells @ (clutter_features.T / temperature)).logsumexp(dim=-1)
    everything = torch.logaddexp(vertex, clutter)
    # A target's rows sum to one, so its mean logit is the logit of the mean feature: no table of all
    # vertices' probabilities in all cells is needed.
    aims = targets @ vertex_features / temperature
    # `embedding` sums its gradients in one order, whatever the number of threads; an index does not.
    aim = (cells * embedding(flat.clamp_min(0), aims)).sum(dim=-1)
    vertex_term = _mean_where(everything - aim, flat >= 0)
    return vertex_term + clutter_weight * _mean_where(everything - clutter, flat == CLUTTER)


def place_loss(centres: Tensor, sides: Tensor, boxes: Tensor, seen: Tensor) -> Tensor:
    """Whether each cell knows that it is the middle of an object, and the middle where the box ends.

    The penalty-reduced focal loss of CornerNet (Law and Deng, 2018, equation 1) on the middles, and the
    absolute error of the logarithms of the four distances near them.

    Args:
        centres: logits, ``(B, h, w)``.
        sides: log distances in cells (left, top, right, bottom), ``(B, 4, h, w)``.
        boxes: true (low x, low y, high x, high y) in cells, ``(B, 4)``.
        seen: share of the object that is seen, ``(B,)``; 0 where there is none. Objects of which less
            than `SEEN_LEAST` is seen teach neither that they are there nor that they are not.
    """
    height, width = centres.shape[-2:]
    x = torch.arange(width, device=centres.device)[None, None, :]
    y = torch.arange(height, device=centres.device)[None, :, None]
    left, top, right, bottom = (boxes[:, side, None, None] for side in range(4))
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    # A sixth of the box's half sides is still nearly the middle.
    spread_x = ((right - left) / 12).clamp_min(0.6)
    spread_y = ((bottom - top) / 12).clamp_min(0.6)
    heat = torch.exp(-0.5 * (((x - middle_x) / spread_x) ** 2 + ((y - middle_y) / spread_y) ** 2))
    there = seen >= SEEN_LEAST
    heat = heat * there[:, None, None]
    peak = (heat >= 0.8) & there[:, None, None]
    logits = centres.float()
    chance = logits.sigmoid()
    found = -((1 - chance) ** 2) * logsigmoid(logits) * peak
    wrong = -((1 - heat) ** 4) * chance**2 * logsigmoid(-logits) * ~peak
    told = (there | (seen == 0))[:, None, None]
    centre_term = ((found + wrong) * told).sum() / peak.sum().clamp_min(1)
    distances = torch.stack(torch.broadcast_tensors(x - left, y - top, right - x, bottom - y), dim=1)
    wanted = distances.clamp_min(0.25).log()
    near = (heat > 0.3)[:, None].expand_as(wanted)
    return centre_term + _mean_where((sides.float() - wanted).abs(), near)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Zero where nothing is chosen."""
    return values.where(chosen, torch.zeros_like(values)).sum() / chosen.sum().clamp_min(1)
