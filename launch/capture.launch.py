"""capture_node on a camera over a turntable:

ros2 launch surfpose_ros capture.launch.py category:=mug image:=/camera/image_raw \
    camera_info:=/camera/camera_info output_dir:=captures
ros2 service call /capture_node/start std_srvs/srv/Trigger
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "category": ("", "What is recorded, such as mug; empty leaves it to params_file."),
    "output_dir": ("", "Folder of the captures; empty leaves it to params_file."),
    "image": ("image", "Camera image, raw or compressed (name the compressed topic itself)."),
    "camera_info": ("camera_info", "Its camera_info."),
    "joint_states": ("joint_states", "Where the turntable's joint is published."),
    "depth": ("depth", "Registered depth, recorded if it is there."),
    "namespace": ("", "Of the node and its relative topics."),
    "use_sim_time": ("false", "Take the time from /clock, as for a played bag."),
    "log_level": ("info", "debug, info, warn or error."),
    "params_file": (str(SHARE / "config" / "capture_node.yaml"), "Parameters."),
    "dds_profile": (
        str(SHARE / "config" / "fastdds_large_images.xml"),
        "Fast DDS profile for large images; empty keeps yours. Set it for the camera driver too.",
    ),
    "viewer": ("none", "none, rviz or foxglove."),
}


def capture_node(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {name: value[name] for name in ("category", "output_dir") if value[name]}
    topics = ("image", "camera_info", "joint_states", "depth")
    profile = SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", value["dds_profile"])
    return [
        *([profile] if value["dds_profile"] else []),
        Node(
            package="surfpose_ros",
            executable="capture_node",
            name="capture_node",
            namespace=value["namespace"],
            parameters=[value["params_file"], {"use_sim_time": value["use_sim_time"] == "true", **parameters}],
            remappings=[(topic, value[topic]) for topic in topics if value[topic] != topic],
            arguments=["--ros-args", "--log-level", value["log_level"]],
            output="screen",
        ),
    ]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    view = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "view.launch.py")),
        launch_arguments={
            "viewer": LaunchConfiguration("viewer"),
            "use_sim_time": LaunchConfiguration("use_sim_time"),
        }.items(),
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=capture_node), view])
