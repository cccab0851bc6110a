"""The topics on which pose_node says what it sees; what nobody listens to is not made."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray, Header, MultiArrayDimension, MultiArrayLayout
from visualization_msgs.msg import MarkerArray

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.messages.detections import best_pose, detection_array, pose_array
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.markers import marker_array, mesh_points
from surfpose_ros.messages.poses import transform_message
from surfpose_ros.nodes import optional
from surfpose_ros.pose.detection import PoseResult
from surfpose_ros.pose.drawing import draw_result
from surfpose_ros.pose.tracking import TrackedObject


class PoseOutput:
    """Publishers of one configured pose_node.

    Attributes:
        complaints: what is not published for want of a message package.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.complaints: list[str] = []
        self._pose = node.create_publisher(PoseStamped, "~/pose", 10)
        self._poses = node.create_publisher(PoseArray, "~/poses", 10)
        self._markers = node.create_publisher(MarkerArray, "~/markers", 10)
        self._overlay = node.create_publisher(Image, "~/overlay", 2)
        self._latency = node.create_publisher(Float64MultiArray, "~/debug/latency", 10)
        self._detections = self._create_optional(optional.DETECTIONS_3D, "~/detections", 10)
        self._transforms = self._create_optional(optional.TF, "/tf", 100)
        self._meshes: dict[str, list] = {}
        self._templates: dict = {}

    def destroy(self) -> None:
        """Take all publishers away."""
        for publisher in vars(self).values():
            if hasattr(publisher, "get_subscription_count"):
                self._node.destroy_publisher(publisher)

    def show_models(self, models: Sequence[CategoryModel]) -> None:
        """Take the template meshes of these models for the markers and overlay."""
        self._templates = {model.name: model.template.mesh for model in models}
        self._meshes = {name: mesh_points(mesh) for name, mesh in self._templates.items()}

    def publish(
        self, objects: Sequence[TrackedObject], header: Header, tf: bool, lifetime_s: float
    ) -> None:
        """Publish the objects of one image; an empty list too, so that all see that the node lives."""
        if self._detections:
            self._detections.publish(detection_array(objects, header))
        self._poses.publish(pose_array(objects, header))
        if objects:
            self._pose.publish(best_pose(objects, header))
        metric = [item for item in objects if item.detection.metric]
        if tf and self._transforms and metric and header.frame_id:
            self._transforms.publish(optional.TF.load()(transforms=[_transform(i, header) for i in metric]))
        if self._markers.get_subscription_count():
            self._markers.publish(marker_array(objects, self._meshes, header, lifetime_s))

    def publish_overlay(
        self,
        image: np.ndarray,
        result: PoseResult,
        objects: Sequence[TrackedObject],
        camera: Camera,
        header: Header,
    ) -> None:
        """Publish the image with the objects drawn in, if somebody listens."""
        if self._overlay.get_subscription_count():
            shown = replace(result, detections=tuple(item.detection for item in objects))
            drawn = draw_result(image, shown, camera, self._templates)
            self._overlay.publish(encode_image(drawn, header))

    def publish_latency(self, milliseconds: dict[str, float]) -> None:
        """Publish figures with their names as the labels of the layout's dimensions."""
        dimensions = [MultiArrayDimension(label=name, size=1, stride=1) for name in milliseconds]
        data = [float(value) for value in milliseconds.values()]
        self._latency.publish(Float64MultiArray(layout=MultiArrayLayout(dim=dimensions), data=data))

    def _create_optional(self, wanted: optional.Optional, topic: str, depth: int):
        kind = wanted.load()
        if kind is None:
            self.complaints.append(wanted.complaint)
            return None
        return self._node.create_publisher(kind, topic, depth)


def _transform(item: TrackedObject, header: Header):
    return transform_message(item.detection.hypotheses[0].camera_from_object, header, item.name)
