"""pose_node on a camera's topics:

ros2 launch surfpose_ros pose.launch.py models:=models/mug image:=/camera/image_raw \
    camera_info:=/camera/camera_info viewer:=rviz
"""

from surfpose_ros.nodes.launching import CAMERA, LARGE_IMAGES, VIEWER, description, node, of_node, viewer

ARGUMENTS = {
    "models": ("", "Folders of category models, separated by commas; empty leaves it to params_file."),
    **CAMERA,
    "depth": ("depth", "Registered depth; used with use_depth in params_file."),
    "detections_2d": ("detections_2d", "Boxes of a 2D detector; used with use_detections_2d."),
    "autostart": ("true", "Configure and activate the lifecycle node."),
    **of_node("pose_node"),
    **LARGE_IMAGES,
    **VIEWER,
}


def actions(values):
    parameters = {"autostart": values["autostart"] == "true"}
    if values["models"]:
        parameters["models"] = values["models"].split(",")
    topics = ("image", "camera_info", "depth", "detections_2d")
    return [*node("pose_node", values, parameters, topics), viewer(values)]


def generate_launch_description():
    return description(ARGUMENTS, actions)
