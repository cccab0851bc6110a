from pathlib import Path

import numpy as np
import pytest

from surfpose_ros.demo.page import front_table, picture_table
from surfpose_ros.evaluation.pose import Outcome
from surfpose_ros.evaluation.samples import PoseSample


def outcome(name, turn_deg, found=True):
    c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    upright = np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0.0]])
    sample = PoseSample(name, Path(name), upright, translation=np.array([0, 0, 0.5]))
    if not found:
        return Outcome(sample, None, np.full((4, 4), np.nan))
    pose = np.eye(4)
    pose[:3, :3] = upright @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return Outcome(sample, None, pose, error_deg=abs(turn_deg), rival_deg=5.0, translation_m=0.01)


def test_pictures_that_cannot_tell_the_front_are_counted_apart():
    outcomes = [
        outcome("a.jpg", 4),
        outcome("b.jpg", 8),
        outcome("c.jpg", 120),
        outcome("d.jpg", 0, found=False),
    ]
    table = front_table(outcomes, {"a.jpg": 0.2, "b.jpg": 0.1, "c.jpg": 0.0, "d.jpg": 0.3})
    seen, hidden = table.rows
    assert seen[:2] == ["seen", 3]
    assert seen[2] == pytest.approx(100 * 2 / 3), "what was not found is no success"
    assert hidden[:3] == ["hidden", 1, 0.0]
    assert hidden[-1] < 1e-3, "a turn about the upright axis is no tilt"


def test_every_picture_has_a_row_and_a_dash_where_nothing_was_found():
    table = picture_table([outcome("mug/00001.jpg", 4), outcome("mug/00002.jpg", 0, found=False)])
    assert [row[0] for row in table.texts()] == ["00001", "00002"]
    assert table.rows[1][2] is None
