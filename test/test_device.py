import pytest
import torch

from surfpose_ros.backbones.registry import load_backbone
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")


def test_devices_are_known_by_their_names():
    assert torch_device("cpu") == torch.device("cpu")
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", pytest.param("cuda", marks=needs_no_gpu)])
def test_a_device_that_is_not_here_is_named_in_one_line(name):
    with pytest.raises(SurfposeError, match=rf"device {name}: it cannot be used here \(.+\)") as caught:
        load_backbone(device=name)
    assert len(str(caught.value).splitlines()) == 1
