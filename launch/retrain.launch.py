"""retrain_node on a folder of captures:

ros2 launch surfpose_ros retrain.launch.py category:=mug captures_dir:=captures start:=true
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "category": ("", "Name of the category, such as mug; empty leaves it to params_file."),
    "captures_dir": ("", "Folder of captures; empty leaves it to params_file."),
    "output_dir": ("", "Folder of the model; empty for models/<category>."),
    "work_dir": ("", "Folder of the stages' work; empty for work/<category>."),
    "start": ("false", "true trains at once; else call the service retrain_node/start."),
    "namespace": ("", "Of the node."),
    "use_sim_time": ("false", "Take the time from /clock."),
    "log_level": ("info", "debug, info, warn or error."),
    "params_file": (str(SHARE / "config" / "retrain_node.yaml"), "Parameters."),
}


def retrain_node(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    names = ("category", "captures_dir", "output_dir", "work_dir")
    parameters = {name: value[name] for name in names if value[name]}
    parameters["autostart"] = value["start"] == "true"
    return [
        Node(
            package="surfpose_ros",
            executable="retrain_node",
            name="retrain_node",
            namespace=value["namespace"],
            parameters=[value["params_file"], {"use_sim_time": value["use_sim_time"] == "true", **parameters}],
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
        )
    ]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=retrain_node)])
