"""The score of a detection: the probability that an object is there and its first pose within 30 degrees.

A logistic curve over what the search says of it: `gain`, the mean log-likelihood a cell over clutter alone
times the share of the visible surface that explains cells; and `chance`, the log-odds by which the network
takes the crop's middle for that of an object.
"""

import math
from collections.abc import Mapping

EVIDENCE = ("gain", "chance")


def detection_score(evidence: Mapping[str, float], calibration: Mapping[str, float]) -> float:
    """Probability, given a model's calibration."""
    total = calibration["offset"] + sum(calibration[name] * evidence[name] for name in EVIDENCE)
    return 1 / (1 + math.exp(-max(min(total, 30.0), -30.0)))


def log_odds(chance: float) -> float:
    """Of a probability; finite for 0 and 1 too."""
    chance = min(max(chance, 1e-4), 1 - 1e-4)
    return math.log(chance / (1 - chance))
