"""A simulated camera over a turntable, for trying out and testing the others without hardware.

After each full turn the camera goes to the next elevation; a picture of the empty turntable comes first.
"""

import math

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.poses import pose_message, transform_message
from surfpose_ros.nodes.parameters import Parameter, Parameters
from surfpose_ros.nodes.running import run
from surfpose_ros.simulation.objects import CATEGORIES, make_object
from surfpose_ros.simulation.turntable import Turntable, TurntableSettings

PARAMETERS = (
    Parameter("category", "mug", "Which parametric objects to show.", choices=tuple(CATEGORIES)),
    Parameter("seed", 0, "Which object; changing it puts another one on the table and starts the first "
              "turn.", low=0, high=1_000_000, live=True),
    Parameter("running", True, "False holds the table still and publishes nothing.", live=True),
    Parameter("rate", 10.0, "Pictures a second; as many as the machine can render.", "Hz", 0.1, 60.0),
    Parameter("turn_rate", 60.0, "Speed of the turntable, in a picture 1/rate of it.", "deg/s", 0.0, 3600.0,
              live=True),
    Parameter("elevations", [12.0, 35.0, 60.0], "Of the camera above the disc, one a turn.", "deg",
              check=lambda values: "" if values and all(0 < v < 90 for v in values)
              else "each must lie between 0 and 90 deg"),
    Parameter("width", 640, "Of the pictures.", "pixels", 64, 3840),
    Parameter("height", 480, "Of the pictures.", "pixels", 64, 2160),
    Parameter("noise", 2.0, "Standard deviation of the image noise.", "grey levels", 0.0, 50.0),
    Parameter("joint", "turntable_joint", "Name in joint_states."),
    Parameter("base_frame", "turntable_base", "Still frame: origin on the disc, z the axis of rotation."),
    Parameter("camera_frame", "camera_optical_frame", "Frame of the pictures."),
    Parameter("publish_mask", False, "Publish the true mask too."),
    Parameter("publish_depth", False, "Publish the true depth too, 32FC1 in metres."),
)  # fmt: skip


class TurntableSimNode(Node):
    """Publishes pictures of a simulated object on a turntable, and the truth about its pose."""

    def __init__(self) -> None:
        super().__init__("turntable_sim_node")
        self.parameters = Parameters(
            self, PARAMETERS, fixed=lambda: "it is read at start only; start the node again with it"
        )
        self._images = self.create_publisher(Image, "image", 10)
        self._infos = self.create_publisher(CameraInfo, "camera_info", 10)
        self._backgrounds = self.create_publisher(Image, "background", 10)
        self._joints = self.create_publisher(JointState, "joint_states", 10)
        self._transforms = self.create_publisher(TFMessage, "/tf", 100)
        self._truth = self.create_publisher(PoseStamped, "~/ground_truth", 10)
        self._masks = self.create_publisher(Image, "mask", 10) if self.parameters["publish_mask"] else None
        self._depths = (
            self.create_publisher(Image, "depth", 10) if self.parameters["publish_depth"] else None
        )
        self._put_object()
        self.parameters.on_change(self._on_change)
        self.create_timer(1 / self.parameters["rate"], self._show)

    def _on_change(self, names: set[str]) -> None:
        if "seed" in names:
            self._put_object()

    def _put_object(self) -> None:
        """Make the object and go to the beginning of the first turn."""
        settings = TurntableSettings(
            width=self.parameters["width"],
            height=self.parameters["height"],
            elevations=tuple(math.radians(value) for value in self.parameters["elevations"]),
            noise=self.parameters["noise"],
        )
        seed = self.parameters["seed"]
        self._item = make_object(self.parameters["category"], seed)
        self._table = Turntable(self._item, settings, seed)
        self._angle, self._turn = 0.0, 0
        self._new_turn = True
        self.get_logger().info(f"{self._item.name} is on the turntable")

    def _show(self) -> None:
        """Publish what the camera sees now, then turn."""
        if not self.parameters["running"]:
            return
        elevations = self._table.settings.elevations
        elevation = elevations[self._turn % len(elevations)]
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self.parameters["camera_frame"])
        self._publish_geometry(header, elevation)
        if self._new_turn:
            empty = self._table.frame(self._angle, elevation, with_object=False)
            self._backgrounds.publish(encode_image(empty.image, header))
            self._new_turn = False
        self._publish_frame(header, elevation)
        self._angle += math.radians(self.parameters["turn_rate"]) / self.parameters["rate"]
        if self._angle >= 2 * math.pi - 1e-9:
            self._angle -= 2 * math.pi
            self._turn += 1
            self._new_turn = True

    def _publish_geometry(self, header: Header, elevation: float) -> None:
        base = Header(stamp=header.stamp, frame_id=self.parameters["base_frame"])
        camera = transform_message(self._table.base_from_camera(elevation), base, header.frame_id)
        self._transforms.publish(TFMessage(transforms=[camera]))
        joint = JointState(
            header=Header(stamp=header.stamp), name=[self.parameters["joint"]], position=[self._angle]
        )
        self._joints.publish(joint)

    def _publish_frame(self, header: Header, elevation: float) -> None:
        frame = self._table.frame(self._angle, elevation)
        self._infos.publish(encode_camera_info(self._table.camera, header))
        self._truth.publish(PoseStamped(header=header, pose=pose_message(frame.camera_from_object)))
        if self._masks:
            self._masks.publish(encode_image(frame.mask.astype(np.uint8) * 255, header, "mono8"))
        if self._depths:
            self._depths.publish(encode_image(frame.depth, header, "32FC1"))
        self._images.publish(encode_image(frame.image, header))


def main() -> None:
    """Run the node."""
    run(TurntableSimNode)


if __name__ == "__main__":
    main()
