"""capture_node on a camera over a turntable:

ros2 launch surfpose_ros capture.launch.py category:=mug image:=/camera/image_raw \
    camera_info:=/camera/camera_info output_dir:=captures
ros2 service call /capture_node/start std_srvs/srv/Trigger
"""

from surfpose_ros.nodes.launching import (
    CAMERA, LARGE_IMAGES, VIEWER, description, given, node, of_node, viewer,
)

ARGUMENTS = {
    "category": ("", "What is recorded, such as mug; empty leaves it to params_file."),
    "output_dir": ("", "Folder of the captures; empty leaves it to params_file."),
    **CAMERA,
    "joint_states": ("joint_states", "Where the turntable's joint is published."),
    "depth": ("depth", "Registered depth, recorded if it is there."),
    **of_node("capture_node"),
    **LARGE_IMAGES,
    **VIEWER,
}


def actions(values):
    parameters = given(values, ("category", "output_dir"))
    topics = ("image", "camera_info", "joint_states", "depth")
    return [*node("capture_node", values, parameters, topics), viewer(values)]


def generate_launch_description():
    return description(ARGUMENTS, actions)
