"""What a node has to say of itself, as diagnostic messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header


class Level(IntEnum):
    """How bad it is, in the order of DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Status:
    """One line of diagnostics with its figures.

    Attributes:
        name: what is spoken of.
        level: how bad it is.
        message: one line for a person; on WARN and worse it says what to do.
        values: figures by name.
    """

    name: str
    level: Level
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


def diagnostic_array(statuses: Sequence[Status], stamp: Time, hardware_id: str = "") -> DiagnosticArray:
    """The message of several statuses."""
    return DiagnosticArray(
        header=Header(stamp=stamp), status=[_status_message(status, hardware_id) for status in statuses]
    )


def _status_message(status: Status, hardware_id: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=bytes([status.level]),
        name=status.name,
        message=status.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=_text(value)) for key, value in status.values.items()],
    )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
