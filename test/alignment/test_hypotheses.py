import torch

from surfpose_ros.alignment.hypotheses import _spread


def test_the_spread_of_points_is_their_second_singular_value():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(500, 4, 3, generator=generator) * torch.tensor([1.0, 0.3, 0.1])
    points[0] = 2.0
    points[1] = torch.arange(4.0)[:, None] * torch.tensor([1.0, 2.0, -1.0])
    centred = points.double() - points.double().mean(dim=1, keepdim=True)
    expected = torch.linalg.svdvals(centred)[:, 1].float()
    assert torch.allclose(_spread(points), expected, atol=1e-3)  # of a line: rounding
