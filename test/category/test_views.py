from dataclasses import replace

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis.strategies import floats

from surfpose_ros.category.augment import Augmentation, Augmenter
from surfpose_ros.category.backgrounds import load_photos
from surfpose_ros.category.covers import patched_cover
from surfpose_ros.category.distractors import make_distractors
from surfpose_ros.category.draws import Draws
from surfpose_ros.category.loss import CLUTTER
from surfpose_ros.category.recolour import filtered, toned
from surfpose_ros.category.template import mean_template
from surfpose_ros.category.views import SIZE, TrainingViews, box_crop, collect_views
from surfpose_ros.geometry.cameras import Camera

CAMERA = Camera(np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]), 320, 240)


@settings(max_examples=25, deadline=None)
@given(x=floats(60, 200), y=floats(60, 150), side=floats(20, 90))
def test_a_point_falls_on_the_same_picture_detail_before_and_after_cropping(x, y, side):
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    image = np.stack([columns / 320 * 255, rows / 240 * 255, columns * 0], axis=-1).astype(np.float32)
    crop, camera = box_crop(image, (x - side / 2, y - side / 2, side, side), CAMERA, 96, 1.2)
    ray = np.array([(x - 159.5) / 300, (y - 119.5) / 300, 1.0])
    u, v, _ = camera.matrix @ ray
    shown = cv2.getRectSubPix(crop, (1, 1), (u, v))[0, 0]
    assert np.allclose(shown[:2], [x / 320 * 255, y / 240 * 255], atol=1.0)


def test_every_view_is_labelled_with_the_vertices_it_shows(eggs):
    videos, surfaces, alignment = eggs
    kept = alignment.canonical_from_video
    template = mean_template([surfaces[n].mesh.transformed(kept[n]) for n in kept], 60)
    views = collect_views(videos, surfaces, kept, template)
    assert len(views) == 12
    assert views.labels.max() < len(template.mesh.vertices)
    # The pictures are painted with box coordinates, so a label's colour tells whether it is right.
    labels = views.labels[:, 0].long()
    colours = views.images[:, :, ::2, ::2].permute(0, 2, 3, 1).float() / 255 - 0.5
    vertices = torch.from_numpy(template.mesh.vertices / template.extent)
    on = labels >= 0
    assert 0.1 < on.float().mean() < 0.5
    off = (vertices[labels[on]] - colours[on]).norm(dim=-1)
    nearest = torch.cdist(colours[on], vertices.float()).min(dim=1).values
    assert off.median() < 1.05 * nearest.median()
    assert off.median() < 0.11  # sixty vertices are so far apart


def test_a_views_rotation_is_that_of_the_object_seen_straight_ahead(eggs):
    videos, surfaces, alignment = eggs
    kept = alignment.canonical_from_video
    template = mean_template([surfaces[n].mesh.transformed(kept[n]) for n in kept], 60)
    views = collect_views(videos[:1], surfaces, kept, template)
    expected = torch.tensor([np.cos(0.4), 0, np.sin(0.4)]).float()
    assert torch.allclose(-views.rotations[0, 2], expected, atol=1e-4)
    assert views.rotations[:, 0, 2].abs().max() < 1e-4  # upright: "up" has no part to the side


THINGS = make_distractors(0, 4)
PLAIN = Augmentation(
    scale=0.0,
    shift=0.0,
    roll_deg=0.0,
    far=0.0,
    keep_background=1.0,
    occlude=0.0,
    patches=0.0,
    absent=0.0,
    colour=0.0,
    filter=0.0,
    tone=0.0,
    cut=0.0,
)


def painted_views(count: int) -> TrainingViews:
    """Views whose red channel encodes the label: left half vertex 0, right half vertex 1."""
    images = torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8)
    images[:, 0, :, SIZE // 2 :] = 255
    labels = torch.zeros(count, 1, SIZE // 2, SIZE // 2, dtype=torch.int16)
    labels[..., SIZE // 4 :] = 1
    masks = torch.full((count, 1, SIZE, SIZE), 255, dtype=torch.uint8)
    rotations = torch.eye(3).expand(count, 3, 3)
    return TrainingViews(images, masks, labels, rotations, torch.zeros(count, dtype=torch.long))


def test_labels_follow_the_picture_through_every_warp():
    augment = Augmenter(
        replace(PLAIN, roll_deg=180.0, scale=0.15, shift=0.08),
        64,
        8,
        torch.Generator().manual_seed(0),
        THINGS,
    )
    images, labels, *_ = augment(painted_views(16))
    red = torch.nn.functional.avg_pool2d(images[:, :1], 8)[:, 0]
    certain = (labels >= 0) & ((red - 0.5).abs() > 0.3)
    assert certain.float().mean() > 0.5
    assert ((red > 0.5).long()[certain] == labels[certain]).float().mean() > 0.98


def test_what_an_occluder_covers_becomes_clutter():
    covering = replace(PLAIN, occlude=1.0)
    augment = Augmenter(covering, 64, 8, torch.Generator().manual_seed(0), THINGS)
    labels = augment(painted_views(32)).labels
    assert 0.02 < (labels == CLUTTER).float().mean() < 0.5


def test_patches_hide_anything_from_a_little_of_an_object_to_most_of_it():
    covering = replace(PLAIN, patches=1.0)
    augment = Augmenter(covering, 64, 8, torch.Generator().manual_seed(0), THINGS)
    batch = augment(painted_views(64))
    hidden = (batch.labels == CLUTTER).flatten(1).float().mean(dim=1)
    assert hidden.min() < 0.1 and hidden.max() > 0.6 and 0.25 < hidden.mean() < 0.6
    torch.testing.assert_close(batch.seen, 1 - hidden)


def test_patches_lie_about_the_object_and_look_like_nothing_of_it():
    views = painted_views(16)
    far = views.labels.clone()
    far[..., : SIZE // 4, :] = CLUTTER  # the object is in the lower half
    backgrounds = Augmenter(PLAIN, 64, 8, torch.Generator().manual_seed(0), THINGS).backgrounds
    labels = far[:, 0, ::18, ::18].long()
    others = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    pictures, mask = patched_cover(backgrounds, others, labels, 1.0)
    rows = mask.flatten(2).unflatten(2, (64, 64))[:, 0].mean(dim=(0, 2))
    assert rows[:24].max() < 0.1 * rows[40:].mean()
    plain = (pictures.flatten(2).std(dim=-1) < 1e-6).all(dim=1)
    assert torch.equal(pictures[~plain], others[~plain]) and 0 < plain.sum() < 16


def test_without_patches_nothing_is_hidden():
    batch = Augmenter(PLAIN, 64, 8, torch.Generator().manual_seed(0), THINGS)(painted_views(8))
    assert (batch.labels != CLUTTER).all() and (batch.seen == 1).all()


def test_an_absent_object_leaves_clutter_everywhere():
    augment = Augmenter(Augmentation(absent=1.0), 64, 8, torch.Generator().manual_seed(0), THINGS)
    labels = augment(painted_views(4)).labels
    assert (labels == CLUTTER).all()


def test_two_augmenters_of_one_seed_draw_the_same_batches():
    first = Augmenter(Augmentation(), 64, 8, torch.Generator().manual_seed(3), THINGS)(painted_views(4))
    second = Augmenter(Augmentation(), 64, 8, torch.Generator().manual_seed(3), THINGS)(painted_views(4))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_most_backgrounds_are_pieces_of_photos_and_no_two_are_alike():
    augment = Augmenter(Augmentation(), 64, 8, torch.Generator().manual_seed(0), THINGS)
    assert len(load_photos()) >= 10
    made = augment.backgrounds(24, 64, 0.0).flatten(1)
    assert (torch.cdist(made, made) + 100 * torch.eye(24) > 1).all()


def test_beyond_where_a_picture_is_cut_off_there_is_one_colour_and_only_clutter():
    cutting = replace(PLAIN, cut=1.0)
    small = painted_views(16)
    small.masks[:, :, :100], small.masks[:, :, 188:] = 0, 0
    small.labels[:, :, :50], small.labels[:, :, 94:] = CLUTTER, CLUTTER
    batch = Augmenter(cutting, 64, 8, torch.Generator().manual_seed(0), THINGS)(small)
    rows = batch.images[:, :, 0].flatten(1)  # the first row, above the object: cut in about three of four
    cut = rows.unflatten(1, (3, -1)).std(dim=-1).amax(dim=-1) < 1e-6
    assert 0.5 < cut.float().mean() < 1
    assert (batch.labels[:, 0] == CLUTTER).all() and (batch.labels >= 0).flatten(1).any(dim=1).all()


def test_other_tones_keep_the_order_of_brightness_or_turn_it_and_leave_some_pictures_alone():
    ramp = torch.linspace(0, 1, 64).expand(200, 3, 1, 64)
    told = toned(ramp, Draws(torch.Generator().manual_seed(1)), 0.5)
    assert told.min() >= 0 and told.max() <= 1
    same = (told - ramp).abs().amax(dim=(1, 2, 3)) < 1e-6
    falls = (told.diff(dim=-1) < -1e-6).any(dim=-1).flatten(1).any(dim=1)
    assert 0.2 < same.float().mean() < 0.6
    assert 0.1 < falls.float().mean() < 0.4, "solarised, or a negative"
    assert ((told[~falls].diff(dim=-1)) >= -1e-6).all()


def test_random_filters_keep_the_picture_size_and_leave_the_others_alone():
    images = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    changed = filtered(images, Draws(torch.Generator().manual_seed(2)), 0.5)
    same = (changed == images).flatten(1).all(dim=1).float().mean()
    assert changed.shape == images.shape and 0.2 < same < 0.8
    assert changed.min() >= 0 and changed.max() <= 1


@settings(max_examples=25, deadline=None)
@given(x=floats(-60, 200), y=floats(-60, 150), side=floats(90, 300))
def test_a_large_object_is_blurred_before_it_shrinks_as_the_whole_image_would_be(x, y, side):
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    crop, _ = box_crop(image, (x, y, side, side), CAMERA, 48, 1.2)
    shrink = 1.2 * side / 48
    blurred = cv2.GaussianBlur(image, (0, 0), 0.4 * shrink)
    left, top = (low - 0.1 * side + 0.5 * shrink - 0.5 for low in (x, y))
    expected = cv2.warpAffine(
        blurred,
        np.array([[shrink, 0, left], [0, shrink, top]]),
        (48, 48),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    assert np.abs(crop.astype(int) - expected).max() <= 1
