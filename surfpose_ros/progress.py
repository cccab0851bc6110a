"""How long work reports where it is, to a terminal, a ROS node or nobody, and how it is cancelled."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Raised by a `Progress` to stop the work at the next step; finished files stay."""


class Progress(Protocol):
    """Called by long work after each step; may raise `Cancelled`."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` steps of `stage` are finished."""


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """A `Progress` that tells nobody."""


def track(items: Iterable[Item], progress: Progress, stage: str, total: int) -> Iterator[Item]:
    """Yield `items`, reporting each as done once the caller comes back for the next.

    Example:
        >>> list(track("ab", silent, "spell", total=2))
        ['a', 'b']
    """
    progress(stage, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)
