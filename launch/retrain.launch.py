"""retrain_node on a folder of captures:

ros2 launch surfpose_ros retrain.launch.py category:=mug captures_dir:=captures start:=true
"""

from surfpose_ros.nodes.launching import description, given, node, of_node

ARGUMENTS = {
    "category": ("", "Name of the category, such as mug; empty leaves it to params_file."),
    "captures_dir": ("", "Folder of captures; empty leaves it to params_file."),
    "output_dir": ("", "Folder of the model; empty for models/<category>."),
    "work_dir": ("", "Folder of the stages' work; empty for work/<category>."),
    "front": ("", "Axis of alignment.png along which objects face, such as -y; empty to leave it."),
    "start": ("false", "true trains at once; else call the service retrain_node/start."),
    **of_node("retrain_node"),
}


def actions(values):
    folders = given(values, ("category", "captures_dir", "output_dir", "work_dir", "front"))
    return node("retrain_node", values, {**folders, "autostart": values["start"] == "true"})


def generate_launch_description():
    return description(ARGUMENTS, actions)
