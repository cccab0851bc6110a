"""Boxes that the network tells, from cells to image pixels, and what scores made of evidence are worth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surfpose_ros.category.network import NetworkOutput
from surfpose_ros.category.views import box_crop
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.pose.calibrate import fit_scores
from surfpose_ros.pose.localise import chosen, in_pixels, likeliest, middles, overlap
from surfpose_ros.pose.looking import box_in_cells, box_in_image
from surfpose_ros.pose.score import detection_score, log_odds


def output_with(boxes: list[tuple[tuple[int, int], tuple[float, ...], float]]) -> NetworkOutput:
    """Of one 28x28 map with the given middles (x, y), boxes in cells and logits."""
    centres, sides = torch.full((1, 28, 28), -9.0), torch.zeros(1, 4, 28, 28)
    for (x, y), (left, top, right, bottom), logit in boxes:
        centres[0, y, x] = logit
        sides[0, :, y, x] = torch.tensor([x - left, y - top, right - x, bottom - y]).log()
    return NetworkOutput(torch.zeros(1, 8, 28, 28), centres, sides)


def test_every_peak_gives_its_own_box_the_likeliest_first():
    output = output_with([((5, 6), (2, 3, 9, 10), 1.0), ((20, 15), (16.5, 12, 24, 18), 3.0)])
    boxes, chances = likeliest(output, 5)
    assert torch.allclose(boxes[:2], torch.tensor([[16.5, 12, 24, 18], [2.0, 3, 9, 10]]))
    assert chances[0] > chances[1] > 0.5 > 0.01 > chances[2]


def test_an_object_told_in_the_padding_of_an_image_is_no_proposal():
    there = ((8, 8), (4.0, 4, 12, 12), 2.0)
    in_padding = ((27, 27), (26.5, 26.5, 27.5, 27.5), 5.0)
    image = np.zeros((400, 400, 3), np.uint8)
    told = in_pixels(*likeliest(output_with([there, in_padding]), 4), 2.0)
    (proposal,) = chosen(told, image.shape[:2], 4, 0.1)
    assert proposal.box == pytest.approx((72, 72, 128, 128))


def test_the_middle_of_a_crop_is_not_taken_from_its_border():
    output = output_with([((2, 2), (0, 0, 4, 4), 5.0), ((14, 13), (8, 8, 20, 20), -1.0)])
    (box,), (chance,) = middles(output)
    assert torch.allclose(box, torch.tensor([8.0, 8, 20, 20]))
    assert chance == pytest.approx(1 / (1 + np.e))


@given(
    st.floats(0, 400), st.floats(0, 300), st.floats(20, 200), st.floats(20, 200), st.sampled_from([224, 96])
)
def test_a_box_comes_back_from_the_cells_of_its_own_crop(x, y, width, height, size):
    camera = Camera(np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]]), 640, 480)
    box = (x, y, width, height)
    _, crop = box_crop(np.zeros((480, 640, 3), np.uint8), box, camera, size, 1.2)
    assert np.allclose(box_in_image(box_in_cells(box, size), crop, camera), box, atol=1e-3)


def test_overlap_is_one_for_the_same_box_and_zero_for_boxes_apart():
    assert overlap((0, 0, 4, 4), (0, 0, 4, 4)) == 1
    assert overlap((0, 0, 4, 4), (5, 0, 4, 4)) == 0
    assert overlap((0, 0, 4, 4), (2, 0, 4, 4)) == pytest.approx(1 / 3)


def test_calibrated_scores_are_the_share_that_came_out_right():
    random = np.random.default_rng(0)
    evidence = random.normal(size=(4000, 2)) * [1.0, 3.0] + [2.0, 0.0]
    truth = 1 / (1 + np.exp(-(-3 + 1.5 * evidence[:, 0] + 0.4 * evidence[:, 1])))
    right = random.random(4000) < truth
    calibration = fit_scores(evidence, right)
    scores = np.array([detection_score({"gain": g, "chance": c}, calibration) for g, c in evidence])
    for low in np.arange(0.0, 1.0, 0.2):
        inside = (scores >= low) & (scores < low + 0.2)
        assert right[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.06)


def test_more_evidence_never_lowers_a_score_even_where_a_few_pictures_say_so():
    evidence = np.array([[0.1, 1.0], [0.2, 0.5], [2.0, -1.0], [2.2, -2.0]])
    calibration = fit_scores(evidence, np.array([False, False, True, True]))
    assert calibration["gain"] > 0 and calibration["chance"] == 0


@given(st.floats(0, 1))
def test_log_odds_stay_finite_and_turn_back_into_the_chance(chance):
    assert 1 / (1 + np.exp(-log_odds(chance))) == pytest.approx(chance, abs=2e-4)
