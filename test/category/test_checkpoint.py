"""A training that was stopped and taken up again, against one in one go."""

from dataclasses import replace

import pytest
import torch

from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.train import train_category
from surfpose_ros.progress import Cancelled

from .eggs import TINY

CPU = torch.device("cpu")
FIVE = replace(TINY, steps=5)


def stop_after_saving(path):
    """A progress that breaks the training off once its state is on the disk."""

    def progress(*_):
        if path.exists():
            raise Cancelled

    return progress


def weights(eggs, settings=FIVE, **options):
    videos, surfaces, alignment = eggs
    model = train_category(videos, surfaces, alignment, settings, CPU, **options)[0]
    return [*model.network.state_dict().values(), model.vertex_features, model.clutter_features]


@pytest.fixture
def half_done(eggs, tmp_path) -> Checkpoint:
    """The state of the egg's training after four steps of ten, the power then cut."""
    checkpoint = Checkpoint(tmp_path / "work" / "training.safetensors", "eggs", every=4)
    with pytest.raises(Cancelled):
        weights(
            eggs,
            replace(TINY, steps=10),
            progress=stop_after_saving(checkpoint.path),
            checkpoint=checkpoint,
        )
    return checkpoint


def test_a_training_taken_up_again_gives_the_very_model_of_one_in_one_go(eggs, half_done):
    ten = replace(TINY, steps=10)
    steps = []
    again = weights(eggs, ten, checkpoint=half_done, progress=lambda stage, step, *_: steps.append(step))
    straight = weights(eggs, ten)
    assert all(torch.equal(one, other) for one, other in zip(again, straight, strict=True))
    assert steps == [10]


def test_the_state_of_another_training_is_not_taken_up(eggs, half_done):
    other = replace(half_done, made_from="other eggs")
    fresh = weights(eggs, checkpoint=other)
    assert all(torch.equal(one, other) for one, other in zip(fresh, weights(eggs), strict=True))


def flipped(content: bytes) -> bytes:
    return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"\xff" * 200, flipped])
def test_a_broken_state_begins_the_training_anew(eggs, half_done, damage):
    half_done.path.write_bytes(damage(half_done.path.read_bytes()))
    fresh = weights(eggs, checkpoint=replace(half_done, every=100))
    assert all(torch.equal(one, other) for one, other in zip(fresh, weights(eggs), strict=True))
    half_done.discard()
    assert not half_done.path.exists()
