"""A few of many, evenly chosen."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, the first among them, in their order.

    Example:
        >>> evenly("abcdefg", 3)
        ['a', 'c', 'e']
    """
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]
