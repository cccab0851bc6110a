"""Parameters with a description, a range, a unit and a reason where a value is refused."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from surfpose_ros.errors import SurfposeError


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node; its type is that of `default`.

    Attributes:
        name: as in the YAML file.
        default: value, and type; ``[""]`` stands for an empty list of strings.
        description: one or two sentences.
        unit: such as "s"; "" where there is none.
        low: smallest value of a number.
        high: largest value of a number.
        choices: the only values allowed, if any.
        live: may be changed at any time; else only while the node lets it (see `Parameters`).
        check: returns why a value is refused, or "".
    """

    name: str
    default: Any
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    check: Callable[[Any], str] = lambda value: ""

    def problem(self, value: Any) -> str:
        """Why a value is refused, "" if it is not."""
        if self.choices and value not in self.choices:
            return f"it must be one of {', '.join(self.choices)}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"it must lie between {self.low:.9g} and {self.high:.9g} {self.unit}".rstrip()
        return self.check(value)

    def descriptor(self) -> ParameterDescriptor:
        """As ``ros2 param describe`` shows it."""
        unit = f" [{self.unit}]" if self.unit else ""
        limits = []
        if self.choices:
            limits.append("one of: " + ", ".join(self.choices))
        limits.append(
            "can be changed at any time" if self.live else "takes effect when the node is configured"
        )
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description + unit, additional_constraints="; ".join(limits)
        )
        if self.low is not None and self.high is not None:
            if isinstance(self.default, int):
                descriptor.integer_range = [IntegerRange(from_value=int(self.low), to_value=int(self.high))]
            else:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(self.low), to_value=float(self.high))
                ]
        return descriptor


class Parameters:
    """Declares the parameters of a node and holds their values, ``parameters["rate"]``.

    Values that are not `live` are refused, with the reason, while `fixed` returns one.
    """

    def __init__(
        self, node: Node, parameters: Iterable[Parameter], fixed: Callable[[], str] = lambda: ""
    ) -> None:
        """Declare all.

        Raises:
            SurfposeError: the launch file or command line gave a value that is refused.
        """
        self._known = {parameter.name: parameter for parameter in parameters}
        self._fixed = fixed
        self._values: dict[str, Any] = {}
        self._listeners: list[Callable[[set[str]], None]] = []
        overrides = node._parameter_overrides
        for parameter in self._known.values():
            self._refuse_override(node, parameter, overrides.get(parameter.name))
            value = node.declare_parameter(parameter.name, parameter.default, parameter.descriptor()).value
            self._values[parameter.name] = _plain(value)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._store)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def on_change(self, listener: Callable[[set[str]], None]) -> None:
        """Call `listener` with the names that changed, after they did."""
        self._listeners.append(listener)

    def _refuse_override(self, node: Node, parameter: Parameter, override: RosParameter | None) -> None:
        if override is None:
            return
        expected = RosParameter(parameter.name, value=parameter.default).type_
        problem = (
            f"it must be of type {expected.name.lower()}"
            if override.type_ is not expected
            else parameter.problem(_plain(override.value))
        )
        if problem:
            raise SurfposeError(
                f"{node.get_name()}: parameter {parameter.name} cannot be {override.value!r}: {problem}"
            )

    def _check(self, changes: list[RosParameter]) -> SetParametersResult:
        for change in changes:
            known = self._known.get(change.name)
            if known is None:
                continue
            reason = known.problem(_plain(change.value)) or ("" if known.live else self._fixed())
            if reason:
                return SetParametersResult(successful=False, reason=f"{change.name}: {reason}")
        return SetParametersResult(successful=True)

    def _store(self, changes: list[RosParameter]) -> None:
        mine = {change.name: _plain(change.value) for change in changes if change.name in self._known}
        changed = {name for name, value in mine.items() if self._values[name] != value}
        self._values.update(mine)
        for listener in self._listeners if changed else ():
            listener(changed)


def _plain(value: Any) -> Any:
    """Arrays as tuples, ``[""]`` as none."""
    if isinstance(value, str | bool | int | float | type(None)):
        return value
    return tuple(item for item in value if item != "")
