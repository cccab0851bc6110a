"""Prints what pose_node sees: the start of a program of your own. `python examples/print_poses.py`"""

from contextlib import suppress

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from vision_msgs.msg import Detection3D, Detection3DArray


class PosePrinter(Node):
    """A line for each object in each image."""

    def __init__(self) -> None:
        super().__init__("pose_printer")
        self.create_subscription(Detection3DArray, "/pose_node/detections", self._show, 10)

    def _show(self, message: Detection3DArray) -> None:
        for detection in message.detections:
            print(in_words(detection), f"in {message.header.frame_id}", flush=True)


def in_words(detection: Detection3D) -> str:
    """The likeliest pose of an object, which comes first, in metres."""
    best = detection.results[0]
    position, rotation = best.pose.pose.position, best.pose.pose.orientation
    where = f"{position.x:.3f} {position.y:.3f} {position.z:.3f}"
    turned = f"{rotation.x:.3f} {rotation.y:.3f} {rotation.z:.3f} {rotation.w:.3f}"
    return f"{detection.id}, score {best.hypothesis.score:.2f}, at {where}, turned {turned} (x y z w)"


def main() -> None:
    """Until Ctrl+C, which rclpy's own handler may answer by ending its context within a step."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    printer = PosePrinter()
    with suppress(KeyboardInterrupt):
        while True:
            rclpy.spin_once(printer, timeout_sec=0.2)
    rclpy.shutdown()


if __name__ == "__main__":
    main()
