"""What the demo's own nodes share: they ask other nodes for something, wait with a limit, and end."""

import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.signals import SignalHandlerOptions

from surfpose_ros.errors import SurfposeError


class DemoClient(Node):
    """A node that works step by step instead of spinning.

    Attributes:
        timeout: longest wait for anything, seconds.
    """

    timeout = 60.0

    def set_parameters_of(self, node: str, **values: Any) -> None:
        """Change another node's parameters.

        Raises:
            SurfposeError: no answer in time, or a value that it refuses.
        """
        request = SetParameters.Request(
            parameters=[RosParameter(key, value=value).to_parameter_msg() for key, value in values.items()]
        )
        for result in self.call(SetParameters, f"{node}/set_parameters", request).results:
            if not result.successful:
                raise SurfposeError(f"{node}: {result.reason}")

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The answer of a service.

        Raises:
            SurfposeError: no answer in time.
        """
        client = self.create_client(kind, name)
        self.wait_for(client.service_is_ready, f"the service {client.srv_name}")
        future = client.call_async(request)
        self.wait_for(future.done, f"an answer from {client.srv_name}")
        self.destroy_client(client)
        return future.result()

    def wait_for(self, ready: Callable[[], Any], what: str) -> None:
        """Take in messages until something has come about.

        Raises:
            SurfposeError: it did not within `timeout`.
        """
        if not self.spin_until(ready, self.timeout):
            raise SurfposeError(
                f"{self.get_name()}: waited {self.timeout:.0f} s for {what}; is it running?"
            )

    def spin_until(self, ready: Callable[[], Any], seconds: float) -> bool:
        """Take in messages until something has come about, or the time is over; whether it has."""
        deadline = self.get_clock().now().nanoseconds + int(seconds * 1e9)
        while not ready():
            if self.get_clock().now().nanoseconds > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True


Client = TypeVar("Client", bound=DemoClient)


def run_once(make_node: Callable[[], Client], work: Callable[[Client], None]) -> None:
    """Do a node's work and end; exits with 1 on a `SurfposeError` and where it is told to stop."""

    def stop(*_: Any) -> None:
        raise SurfposeError("stopped")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make_node()
        work(node)
        node.destroy_node()
    except SurfposeError as error:
        print(f"surfpose: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        rclpy.try_shutdown()
