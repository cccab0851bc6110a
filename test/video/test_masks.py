import cv2
import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.masks import clean_mask, fill_small_holes, mask_from_background
from surfpose_ros.video.segment import mask_by_grabcut, mask_from_backdrop


def disc(centre, radius, shape=(120, 160)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2


@pytest.fixture
def background() -> np.ndarray:
    generator = np.random.default_rng(0)
    rows = np.linspace(90, 170, 120)[:, None, None] * np.array([1.0, 0.95, 1.05])
    return np.clip(
        np.broadcast_to(rows, (120, 160, 3)) + generator.normal(0, 2, (120, 160, 3)), 0, 255
    ).astype(np.uint8)


def overlap(first, second) -> float:
    return (first & second).sum() / (first | second).sum()


def test_the_object_is_found_and_its_shadow_is_not(background):
    ring = disc((80, 60), 30) & ~disc((80, 60), 12)
    image = background.copy()
    shadow = disc((110, 80), 25)
    image[shadow] = (image[shadow] * 0.6).astype(np.uint8)
    image[ring] = [200, 60, 40]
    mask = mask_from_background(image, background)
    assert overlap(mask, ring) > 0.9
    # What shows through the ring is background and stays so.
    assert not mask[60, 80]


def test_an_objects_shaded_inside_is_not_taken_for_a_hole(background):
    solid = disc((80, 60), 30)
    image = background.copy()
    image[solid] = [200, 60, 40]
    inside = disc((80, 60), 14)
    image[inside] = (background[inside] * 0.6).astype(np.uint8)
    assert overlap(mask_from_background(image, background), solid) > 0.94


def test_an_empty_scene_gives_an_empty_mask(background):
    assert not mask_from_background(background, background).any()


def test_a_background_of_another_size_is_refused(background):
    with pytest.raises(SurfposeError, match="differs in size"):
        mask_from_background(background, background[:100])


def test_cleaning_keeps_the_largest_region_without_specks_and_cracks():
    mask = disc((60, 60), 30)
    mask[60, 30:90] = False
    mask[5:7, 5:7] = True
    assert overlap(clean_mask(mask), disc((60, 60), 30)) > 0.97


def test_only_small_holes_are_filled():
    mask = disc((60, 60), 40) & ~disc((60, 60), 2) & ~disc((80, 60), 9)
    filled = fill_small_holes(mask, share=0.01)
    assert filled[60, 60]
    assert not filled[60, 80]


def test_an_object_before_a_plain_backdrop_is_cut_out_and_a_room_is_no_backdrop(background):
    light = np.linspace(200, 240, 160)[None, :, None]
    image = np.broadcast_to(light, (120, 160, 3)).astype(np.uint8).copy()
    thing = disc((70, 60), 35)
    image[thing] = [60, 80, 160]
    assert overlap(mask_from_backdrop(image), thing) > 0.95
    stripes = image.copy()
    stripes[:, ::8] = 90
    assert mask_from_backdrop(stripes) is None


def test_grabcut_finds_what_stands_in_the_middle(shared_data):
    overlaps = []
    for path in sorted((shared_data / "eth80/cup/cup01").glob("066_*.jpg"))[:4]:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        truth = cv2.imread(str(path.with_name(path.stem + "_mask.png")), cv2.IMREAD_GRAYSCALE) > 127
        overlaps.append(overlap(mask_by_grabcut(image), truth))
    assert np.median(overlaps) > 0.9
