"""How alike two surfaces look, whatever way they stand."""

import torch
from torch import Tensor

from surfpose_ros.alignment.distances import Matches
from surfpose_ros.alignment.shapes import Shapes

AT_ONCE = 64  # pairs: the features of all pairs of a hundred videos would be tens of gigabytes


def look_distance(shapes: Shapes, matches: Matches) -> Tensor:
    """Mean distance of the features of vertices to those of their appearance neighbours, ``(P,)``."""
    parts = (matches[start : start + AT_ONCE] for start in range(0, len(matches), AT_ONCE))
    return torch.cat([_both_ways(shapes, part) for part in parts])


def _both_ways(shapes: Shapes, matches: Matches) -> Tensor:
    there = _one_way(shapes, matches.source, matches.target, matches.forward)
    back = _one_way(shapes, matches.target, matches.source, matches.backward)
    return (there + back) / 2


def _one_way(shapes: Shapes, source: Tensor, target: Tensor, neighbour: Tensor) -> Tensor:
    matched = shapes.features[target[:, None], neighbour]
    distance = (shapes.features[source] - matched).norm(dim=-1)
    weights = shapes.weights[source] * shapes.seen[source]
    return (weights * distance).sum(dim=1) / weights.sum(dim=1)
