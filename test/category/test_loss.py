import torch
from torch.nn.functional import cross_entropy, normalize

from surfpose_ros.category.loss import CLUTTER, IGNORED, neighbour_targets, vertex_loss


def test_targets_are_distributions_that_peak_at_the_vertex_itself():
    vertices = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    targets = neighbour_targets(vertices, sigma=0.02)
    assert torch.allclose(targets.sum(dim=-1), torch.ones(50))
    assert (targets.argmax(dim=-1) == torch.arange(50)).all()


def test_vertices_that_a_symmetry_exchanges_share_their_target():
    vertices = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0]])
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    targets = neighbour_targets(vertices, 0.02, torch.stack([torch.eye(3), half_turn]))
    assert torch.allclose(targets[0], targets[1], atol=1e-6)
    assert targets[0, 2] < 1e-3


def test_the_vertex_loss_is_least_where_every_cell_names_its_vertex():
    generator = torch.Generator().manual_seed(0)
    vertex = normalize(torch.randn(20, 16, generator=generator), dim=-1)
    clutter = normalize(torch.randn(2, 16, generator=generator), dim=-1)
    labels = torch.randint(0, 20, (2, 4, 4), generator=generator)
    labels[0, 0], labels[1, 3] = CLUTTER, IGNORED
    right = torch.where((labels >= 0)[..., None], vertex[labels.clamp_min(0)], clutter[0])
    wrong = right.roll(1, dims=1)
    targets = torch.eye(20)

    def loss(cells: torch.Tensor) -> float:
        features = cells.permute(0, 3, 1, 2)
        return float(vertex_loss(features, labels, vertex, clutter, targets, 0.07, 0.3))

    assert loss(right) < 0.1 < loss(wrong)


def test_cells_that_are_ignored_do_not_change_the_loss():
    generator = torch.Generator().manual_seed(1)
    vertex = normalize(torch.randn(5, 8, generator=generator), dim=-1)
    features = normalize(torch.randn(1, 8, 2, 2, generator=generator), dim=1)
    labels = torch.tensor([[[0, IGNORED], [CLUTTER, 3]]])
    before = vertex_loss(features, labels, vertex, vertex[:1], torch.eye(5), 0.07, 0.3)
    features[:, :, 0, 1] = -features[:, :, 0, 1]
    assert before == vertex_loss(features, labels, vertex, vertex[:1], torch.eye(5), 0.07, 0.3)


def test_the_vertex_loss_is_the_cross_entropy_with_soft_targets():
    generator = torch.Generator().manual_seed(2)
    vertex, clutter = (normalize(torch.randn(n, 8, generator=generator), dim=-1) for n in (12, 3))
    features = normalize(torch.randn(2, 8, 4, 4, generator=generator), dim=1)
    labels = torch.randint(-2, 12, (2, 4, 4), generator=generator)
    targets = neighbour_targets(torch.rand(12, 3, generator=generator), 0.3)
    cells, flat = features.permute(0, 2, 3, 1).reshape(-1, 8), labels.flatten()
    logits = torch.cat(
        [cells @ vertex.T, 0.07 * (cells @ clutter.T / 0.07).logsumexp(-1, keepdim=True)], -1
    )
    told = (logits / 0.07).log_softmax(dim=-1)
    on, off = flat >= 0, flat == CLUTTER
    expected = cross_entropy(
        logits[on, :] / 0.07, torch.cat([targets[flat[on]], torch.zeros(on.sum(), 1)], -1)
    )
    expected = expected - 0.3 * told[off, -1].mean()
    torch.testing.assert_close(vertex_loss(features, labels, vertex, clutter, targets, 0.07, 0.3), expected)
