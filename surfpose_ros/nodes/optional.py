"""Message packages that a ROS install may lack: without them a node does the rest, and says so once."""

from dataclasses import dataclass

from surfpose_ros.nodes.raw_topics import message_class


@dataclass(frozen=True)
class Optional:
    """A message type that may be missing.

    Attributes:
        type_name: such as ``vision_msgs/msg/Detection3DArray``.
        purpose: what is not done without it.
    """

    type_name: str
    purpose: str

    def load(self) -> type | None:
        """The class, None where its package is not installed."""
        return message_class(self.type_name)

    @property
    def complaint(self) -> str:
        """What is missing, and how to get it."""
        package = self.type_name.split("/")[0]
        debian = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
        return f"no {self.purpose}: {package} is missing (apt install {debian})"


DETECTIONS_3D = Optional("vision_msgs/msg/Detection3DArray", "~/detections")
DETECTIONS_2D = Optional("vision_msgs/msg/Detection2DArray", "detections_2d")
TF = Optional("tf2_msgs/msg/TFMessage", "TF")

NO_CV_BRIDGE = (
    "cv_bridge is missing or does not work here (apt install ros-$ROS_DISTRO-cv-bridge); "
    "images are converted without it, to the same pixels"
)
