"""Starts a node as a process: quits cleanly on a signal, says wrong parameters in one line."""

import os
import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from surfpose_ros.errors import SurfposeError


def run(make_node: Callable[[], Node]) -> None:
    """Spin a node until SIGINT or SIGTERM; exits with 1 on a `SurfposeError`.

    rclpy's own signal handlers would shut the context down under the node, which then could neither
    finish its work nor say a last word.
    """
    told_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_stop.set())
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    code = 0
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not told_to_stop.is_set():
            executor.spin_once(timeout_sec=0.2)
        executor.remove_node(node)
        node.destroy_node()
    except SurfposeError as error:
        print(f"surfpose: {error}", file=sys.stderr)
        code = 1
    rclpy.try_shutdown()
    # Taking PyTorch apart can take longer than the five seconds after which launch begins to kill.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
