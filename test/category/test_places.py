"""Where objects are: other things in training pictures, boxes of changed views, the loss on middles."""

import pytest
import torch

from surfpose_ros.category.augment import Augmentation, Augmenter
from surfpose_ros.category.distractors import SIDE, make_distractors
from surfpose_ros.category.loss import place_loss
from surfpose_ros.category.views import SIZE as VIEW_SIZE
from surfpose_ros.category.views import TrainingViews

BOX = torch.tensor([[3.0, 5.0, 11.0, 15.0]])


def views_of_a_square(count: int) -> TrainingViews:
    """White squares in the middle of black views."""
    third = VIEW_SIZE // 3
    masks = torch.zeros(count, 1, VIEW_SIZE, VIEW_SIZE, dtype=torch.uint8)
    masks[..., third:-third, third:-third] = 255
    labels = (masks[..., ::2, ::2] > 0).short() - 1
    rotations = torch.eye(3).expand(count, 3, 3)
    videos = torch.zeros(count, dtype=torch.long)
    return TrainingViews(masks.expand(-1, 3, -1, -1), masks, labels, rotations, videos)


def perfect_sides(box: torch.Tensor) -> torch.Tensor:
    x, y = torch.arange(20.0)[None, :], torch.arange(20.0)[:, None]
    left, top, right, bottom = box
    sides = torch.stack(torch.broadcast_tensors(x - left, y - top, right - x, bottom - y))
    return sides.clamp_min(0.25).log()[None]


def centres_at(x: int, y: int, sure: float = 8.0) -> torch.Tensor:
    centres = torch.full((1, 20, 20), -sure)
    centres[0, y, x] = sure
    return centres


def test_things_are_drawn_the_same_for_one_seed_and_their_pictures_are_black_outside_the_mask():
    first, again, other = make_distractors(4, 6), make_distractors(4, 6), make_distractors(5, 6)
    assert first.images.shape == (6, 3, SIDE, SIDE)
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)
    assert (first.masks > 0).flatten(1).any(dim=1).all()
    assert not first.images[(first.masks == 0).expand_as(first.images)].any()


@pytest.mark.parametrize("far", [0.0, 1.0])
def test_boxes_hold_the_object_wherever_it_was_warped_to(far):
    settings = Augmentation(
        occlude=0.0,
        patches=0.0,
        absent=0.0,
        roll_deg=0.0,
        colour=0.0,
        any_hue=0.0,
        distract=0.0,
        far=far,
        keep_background=0.0,
    )
    augment = Augmenter(settings, 224, 8, torch.Generator().manual_seed(0), make_distractors(0, 2))
    batch = augment(views_of_a_square(12))
    for labels, (left, top, right, bottom) in zip(batch.labels, batch.boxes, strict=True):
        rows, columns = (labels >= 0).nonzero(as_tuple=True)
        assert columns.min() > left - 1 and columns.max() < right + 1
        assert rows.min() > top - 1 and rows.max() < bottom + 1
        assert abs((right - left + 1) - len(columns.unique())) < 2
    assert (batch.seen == 1).all()


def test_far_objects_are_small_and_still_in_the_picture():
    settings = Augmentation(far=1.0, absent=0.0, occlude=0.0, patches=0.0)
    augment = Augmenter(settings, 224, 8, torch.Generator().manual_seed(0), make_distractors(0, 2))
    boxes = augment(views_of_a_square(64)).boxes
    widths = boxes[:, 2] - boxes[:, 0]
    assert widths.min() < 8 and widths.max() < 26
    assert boxes[:, :2].min() > -2 and boxes[:, 2:].max() < 29


def test_saying_the_true_middle_and_sides_costs_next_to_nothing():
    loss = place_loss(centres_at(7, 10), perfect_sides(BOX[0]), BOX, torch.ones(1))
    assert loss < 0.05


@pytest.mark.parametrize(
    ("centres", "sides_of", "seen"),
    [
        (centres_at(2, 3), BOX[0], 1.0),  # a middle in the wrong place
        (centres_at(7, 10), BOX[0] * 1.5, 1.0),  # sides of another box
        (centres_at(7, 10), BOX[0], 0.0),  # an object where there is none
    ],
)
def test_saying_anything_else_costs_more(centres, sides_of, seen):
    assert place_loss(centres, perfect_sides(sides_of), BOX, torch.tensor([seen])) > 0.1


def test_a_nearly_hidden_object_teaches_no_middle():
    centres = torch.zeros(1, 20, 20, requires_grad=True)
    place_loss(centres, perfect_sides(BOX[0]), BOX, torch.tensor([0.1])).backward()
    assert not centres.grad.any()
