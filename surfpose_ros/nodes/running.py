"""Starts a node as a process: quits cleanly on a signal, says wrong parameters in one line."""

import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from surfpose_ros.errors import SurfposeError


def run(make_node: Callable[[], Node]) -> None:
    """Spin a node until it is told to stop; exits with 1 on a `SurfposeError`."""
    rclpy.init()
    node = None
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SurfposeError as error:
        print(f"surfpose: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
