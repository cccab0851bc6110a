"""How far two surfaces are apart under a similarity: geometric and appearance distance (paper, eq. 1-4).

The appearance neighbour of a vertex does not depend on the transform, so `match_pairs` runs once a
pair and `pair_distance` thousands of times. Everything is batched over pairs, and over hypotheses.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from surfpose_ros.alignment.fields import field_distance, field_values
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.geometry.similarity import decompose_similarity, invert_similarity, transform_points


@dataclass(frozen=True)
class Matches:
    """Appearance neighbours and vertex weights of P pairs, in both directions.

    Attributes:
        source: ``(P,)`` index of each pair's source surface; `target` likewise.
        target: ``(P,)``.
        forward: ``(P, V)`` appearance neighbour, in the target, of each source vertex.
        backward: ``(P, V)`` the other way round.
        source_weights: ``(P, V)`` sigma of the source's vertices, sums to one; zero for padding.
        target_weights: ``(P, V)``.
        stride: distances are taken at every so many vertices only, for a first look.
    """

    source: Tensor
    target: Tensor
    forward: Tensor
    backward: Tensor
    source_weights: Tensor
    target_weights: Tensor
    stride: int = 1

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, pairs: slice | Tensor) -> "Matches":
        parts = {name: getattr(self, name)[pairs] for name in self.__dataclass_fields__ if name != "stride"}
        return replace(self, **parts)


@dataclass(frozen=True)
class Measure:
    """How distances are taken; the defaults but for `alpha` are the paper's.

    Attributes:
        alpha: share of the appearance in D.
        saturation: see `saturated`.
        normals: diameters that a radian between two normals counts.
    """

    alpha: float = 0.2
    saturation: float = torch.inf
    normals: float = 0.0


def mean_feature_distance(source: Tensor, target: Tensor) -> Tensor:
    """Euclidean distance ``(..., V, W)`` of unit features ``(..., V, D)`` and ``(..., W, D)``."""
    return (2 - 2 * source @ target.transpose(-1, -2)).clamp_min(0).sqrt()


def set_feature_distance(
    source: Tensor, source_valid: Tensor, target: Tensor, target_valid: Tensor, budget: int = 1 << 26
) -> Tensor:
    """Distance of two vertices' sets of view features: mean over one side's views of the minimum over
    the other's, the mean of both directions.

    Args:
        source: unit features, ``(V, K, D)``.
        source_valid: ``(V, K)`` bool.
        target: ``(W, L, D)``.
        target_valid: ``(W, L)`` bool.
        budget: numbers held at once.

    Returns:
        ``(V, W)`` float32, infinite where a vertex has no view.
    """
    rows = []
    flat = target.flatten(0, 1)
    step = max(1, budget // max(1, source.shape[1] * flat.shape[0]))
    some_target = target_valid.any(dim=1)
    for part, valid in zip(source.split(step), source_valid.split(step), strict=True):
        product = (part.flatten(0, 1) @ flat.T).unflatten(1, target.shape[:2]).unflatten(0, part.shape[:2])
        distance = (2 - 2 * product.float()).clamp_min(0).sqrt()  # (v, K, W, L)
        distance = distance.masked_fill(~target_valid, torch.inf).masked_fill(
            ~valid[:, :, None, None], torch.inf
        )
        to_target = _mean_over(distance.amin(dim=3).transpose(1, 2), valid[:, None, :])
        to_source = _mean_over(distance.amin(dim=1), target_valid[None])
        both = (to_target + to_source) / 2
        rows.append(both.masked_fill(~(valid.any(dim=1)[:, None] & some_target), torch.inf))
    return torch.cat(rows)


def _mean_over(values: Tensor, valid: Tensor) -> Tensor:
    return values.masked_fill(~valid, 0).sum(dim=-1) / valid.sum(dim=-1).clamp_min(1)


def match_pairs(shapes: Shapes, source: Tensor, target: Tensor, tau: float) -> Matches:
    """Appearance neighbours of pairs of surfaces, and the weights that their cycles give.

    Args:
        shapes: N surfaces; with `view_features`, the set distance is used, else the mean features'.
        source: ``(P,)`` indices into `shapes`.
        target: ``(P,)``.
        tau: temperature in diameters.
    """
    # A table of all distances between the vertices of a pair is held for each pair at once.
    step = max(1, min(32, (1 << 23) // shapes.vertices.shape[1] ** 2))
    parts = [_match(shapes, s, t, tau) for s, t in zip(source.split(step), target.split(step), strict=True)]
    forward, backward, source_weights, target_weights = (torch.cat(p) for p in zip(*parts, strict=True))
    return Matches(source, target, forward, backward, source_weights, target_weights)


def _match(shapes: Shapes, source: Tensor, target: Tensor, tau: float) -> tuple[Tensor, ...]:
    if shapes.view_features is not None and shapes.view_valid is not None:
        features, valid = shapes.view_features, shapes.view_valid
        distance = torch.stack(
            [
                set_feature_distance(features[s], valid[s], features[t], valid[t])
                for s, t in zip(source, target, strict=True)
            ]
        )
    else:
        distance = mean_feature_distance(shapes.features[source], shapes.features[target])
    seen = shapes.seen[source][:, :, None] & shapes.seen[target][:, None, :]
    distance = distance.masked_fill(~seen, torch.inf)
    forward, backward = distance.argmin(dim=2), distance.argmin(dim=1)
    return (
        forward,
        backward,
        _cycle_weights(shapes, source, backward.gather(1, forward), tau),
        _cycle_weights(shapes, target, forward.gather(1, backward), tau),
    )


def _cycle_weights(shapes: Shapes, index: Tensor, home: Tensor, tau: float) -> Tensor:
    """Softmax of the negative cycle distance over tau, times the vertex's share of the area."""
    vertices = shapes.vertices[index]
    cycle = (vertices - take(vertices, home)).norm(dim=-1)
    weights = (-cycle / tau).exp() * shapes.weights[index] * shapes.seen[index]
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)


def take(points: Tensor, index: Tensor) -> Tensor:
    """Rows ``index`` ``(P, M)`` of points ``(P, V, 3)``: ``(P, M, 3)``."""
    return points.gather(1, index[..., None].expand(-1, -1, points.shape[-1]))


def pair_distances(
    shapes: Shapes, matches: Matches, target_from_source: Tensor, measure: Measure
) -> tuple[Tensor, Tensor]:
    """D_geo and D_app of every pair under every hypothesis, in diameters.

    Each is the mean of both directions, source to target in the target's diameters and back in the
    source's, so that neither side gains by shrinking the other.

    Args:
        shapes: the surfaces.
        matches: of P pairs.
        target_from_source: ``(P, H, 4, 4)`` between normalised frames.
        measure: saturation and weight of the normals.

    Returns:
        ``(P, H)`` and ``(P, H)``; differentiable with respect to the transforms.
    """
    m = matches
    source_to_target = (m.source, m.target, m.forward, m.source_weights, m.stride)
    target_to_source = (m.target, m.source, m.backward, m.target_weights, m.stride)
    there = _one_way(shapes, *source_to_target, target_from_source, measure)
    back = _one_way(shapes, *target_to_source, invert_similarity(target_from_source), measure)
    return (there[0] + back[0]) / 2, (there[1] + back[1]) / 2


def _one_way(
    shapes: Shapes,
    source: Tensor,
    target: Tensor,
    neighbour: Tensor,
    weights: Tensor,
    stride: int,
    transforms: Tensor,
    measure: Measure,
) -> tuple[Tensor, Tensor]:
    moved = transform_points(transforms, shapes.vertices[source][:, None, ::stride])  # (P, H, V, 3)
    matched = take(shapes.vertices[target], neighbour[:, ::stride])[:, None]
    appearance = (moved - matched).square().sum(dim=-1)
    if measure.normals:
        nearest = field_values(shapes.fields, target, moved)
        normals = shapes.normals[source][:, None, ::stride] @ decompose_similarity(transforms)[0].mT
        matched = take(shapes.normals[target], neighbour[:, ::stride])[:, None]
        appearance = appearance + measure.normals**2 * _turned_square(normals, matched)
        turned = measure.normals**2 * _turned_square(normals, nearest[..., 1:])
        geometric = (nearest[..., 0].square() + turned).add(1e-12).sqrt()
    else:
        geometric = field_distance(shapes.fields, target, moved)
    appearance = appearance.add(1e-12).sqrt()
    weights = weights[:, None, ::stride]
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-12)
    first, second = (
        (weights * saturated(each, measure.saturation)).sum(dim=-1) for each in (geometric, appearance)
    )
    return first, second


def _turned_square(first: Tensor, second: Tensor) -> Tensor:
    """Square of the chord between unit vectors, ``(...)``: about that of the angle, 4 where opposite."""
    return (2 - 2 * (first * second).sum(dim=-1)).clamp_min(0)


def saturated(distance: Tensor, saturation: float) -> Tensor:
    """Distances that grow like the plain ones while small, and never beyond `saturation`.

    ``c d / (c + d)``: at ``d = c`` a vertex counts half. A robust kernel (Geman and McClure, 1987, of the
    square root), under which parts that differ between objects do not pull.
    """
    return distance if saturation == torch.inf else distance / (1 + distance / saturation)


def mixed_distance(
    shapes: Shapes,
    matches: Matches,
    target_from_source: Tensor,
    measure: Measure,
    budget: int | None = None,
) -> Tensor:
    """D = (1 - alpha) D_geo + alpha D_app, ``(P, H)``, in chunks of pairs of at most `budget` points.

    By default, chunks fit a processor's cache, or are large enough to fill a GPU.
    """
    budget = budget or (1 << 22 if target_from_source.device.type == "cpu" else 1 << 25)
    step = max(1, budget // (target_from_source.shape[1] * shapes.vertices.shape[1]))

    def mixed(part: slice) -> Tensor:
        geometric, appearance = pair_distances(shapes, matches[part], target_from_source[part], measure)
        return (1 - measure.alpha) * geometric + measure.alpha * appearance

    chunks = [slice(start, start + step) for start in range(0, len(matches), step)]
    if len(chunks) > 1 and torch.is_grad_enabled():
        # Worked out again for its gradient, a chunk need not be held until all are there.
        return torch.cat([checkpoint(mixed, part, use_reentrant=False) for part in chunks])
    return torch.cat([mixed(part) for part in chunks])
