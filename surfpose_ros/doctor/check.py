"""What one check of the doctor found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        state: ok; warning, where something works less well or not at all that not everybody needs;
            problem, where a required part is broken.
        found: what is there.
        remedy: what to do, "" where all is well.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
