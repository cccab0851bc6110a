"""Scores of tabulated views, and responsibilities of refinement, against their definitions."""

import pytest
import torch
import trimesh

from surfpose_ros.category.template import mean_template
from surfpose_ros.geometry.meshes import mesh_from_trimesh
from surfpose_ros.pose.hypotheses import ViewTable, tabulate_views, tabulate_visibility
from surfpose_ros.pose.refine import _closeness, make_shape
from surfpose_ros.pose.scoring import score_views

SIZE = 20


@pytest.fixture(scope="module")
def template():
    block = mesh_from_trimesh(trimesh.creation.box((1.0, 0.6, 0.4)).subdivide().subdivide())
    return mean_template([block, block], 80)


@pytest.fixture(scope="module")
def visibility(template):
    return tabulate_visibility(template, 60)


@pytest.fixture(scope="module")
def table(template, visibility) -> ViewTable:
    return tabulate_views(template, visibility, (-30, 0, 30), 30.0)


def score_one(evidence: torch.Tensor, table: ViewTable, view: int, box: torch.Tensor) -> float:
    """The mean evidence at one view's vertices, one by one; outside the map there is none."""
    size = box[2:] - box[:2]
    ratio = (size / table.extents[view]).log()
    scale = (ratio.mean() + (ratio - ratio.mean()).clamp(-0.15, 0.15)).exp()
    cells = table.points[:, view].T * scale + (box[:2] + box[2:]) / 2
    total = 0.0
    for vertex, cell in zip(table.vertices[view].tolist(), cells.round().int().tolist(), strict=True):
        x, y = cell
        if vertex < len(evidence) and 0 <= x < SIZE and 0 <= y < SIZE:
            total += float(evidence[vertex, y, x])
    return total / float(table.counts[view])


def test_scores_are_the_mean_evidence_at_the_visible_vertices(template, table):
    generator = torch.Generator().manual_seed(0)
    evidence = torch.rand(len(template.mesh.vertices), SIZE, SIZE, generator=generator)
    boxes = torch.tensor([[2.0, 3, 15, 12], [-6.0, 5, 9, 30], [40.0, 40, 50, 50]])
    scores = score_views(evidence[None], table, boxes[None])[0]
    assert scores.shape == (3, len(table.rotations))
    for view in range(0, len(table.rotations), 7):
        expected = [score_one(evidence, table, view, box) for box in boxes]
        assert scores[:, view].tolist() == pytest.approx(expected, abs=1e-4)


def test_a_view_counts_each_vertex_once_and_pads_with_none(template, table):
    none = len(template.mesh.vertices)
    for row, count in zip(table.vertices.tolist(), table.counts.tolist(), strict=True):
        there = [vertex for vertex in row if vertex != none]
        assert len(there) == len(set(there)) == count


def test_the_shape_lists_what_is_visible_and_pads_with_nobody(template, visibility):
    shape = make_shape(template, visibility)
    none = len(template.mesh.vertices)
    for seen, visible in zip(shape.seen, visibility.visible, strict=True):
        assert sorted(set(seen.tolist()) - {none}) == visible.nonzero()[:, 0].tolist()
    assert shape.areas[none] == 0 and not shape.normals[none].any()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_closeness_is_a_gaussian_of_the_distance(sigma):
    generator = torch.Generator().manual_seed(0)
    first = 40 * torch.rand(3, 30, 2, generator=generator) - 6
    second = 28 * torch.rand(50, 2, generator=generator)
    squared = (first[:, :, None] - second).double().square().sum(dim=-1)
    expected = (-squared / (2 * sigma**2)).exp().float()
    assert torch.allclose(_closeness(first, second, torch.tensor(sigma)), expected, rtol=1e-2, atol=1e-6)


def test_closeness_of_what_is_far_away_is_no_denormal_number():
    share = _closeness(torch.full((1, 1, 2), 1e4), torch.zeros(4, 2), torch.tensor(1.0))
    assert 0 <= share.max() < 1e-20 and share.min() > 1.2e-38
