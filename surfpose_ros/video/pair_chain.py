"""Which pairs of a video's pictures to believe: those that agree with the steps from picture to picture.

From one picture to the next an object turns little, and its features match rightly. Far apart, a pattern
that repeats itself, or a rim that looks the same all round, matches as well as the truth does, and says
that nothing turned.
"""

import numpy as np

# A pair's rotation may differ from the chain's by so many degrees, or by this share of the chain's own: the
# errors of its steps add up.
MAX_ERROR_DEG, MAX_SHARE = 8.0, 0.2


def pairs_of_chain(turns: dict[tuple[int, int], np.ndarray]) -> set[tuple[int, int]]:
    """The pairs whose rotation agrees with that of pairs nearer in time.

    Pairs are taken from the nearest in time to the farthest. One that joins two pieces of the video is
    believed and sets how they are turned to each other; one within a piece must agree with what that
    already says.

    Args:
        turns: rotation from the first picture's camera to the second's, ``(3, 3)``, by the numbers of the
            pictures in order of time, ``(first, second)`` with first < second.

    Returns:
        The pairs to keep.
    """
    pieces = {number: {number} for pair in turns for number in pair}
    camera_from_piece = {number: np.eye(3) for number in pieces}
    kept = set()
    for first, second in sorted(turns, key=lambda pair: (pair[1] - pair[0], pair)):
        turn = turns[first, second]
        if second in pieces[first]:
            chained = camera_from_piece[second] @ camera_from_piece[first].T
            if _angle_deg(turn.T @ chained) > max(MAX_ERROR_DEG, MAX_SHARE * _angle_deg(chained)):
                continue
        else:
            joined = camera_from_piece[second].T @ turn @ camera_from_piece[first]
            for number in pieces[second]:
                camera_from_piece[number] = camera_from_piece[number] @ joined
            pieces[first] |= pieces[second]
            for number in pieces[second]:
                pieces[number] = pieces[first]
        kept.add((first, second))
    return kept


def _angle_deg(rotation: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))
