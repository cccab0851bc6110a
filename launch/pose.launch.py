"""pose_node on a camera's topics:

ros2 launch surfpose_ros pose.launch.py models:=models/mug image:=/camera/image_raw \
    camera_info:=/camera/camera_info viewer:=rviz
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
    "models": ("", "Folders of category models, separated by commas; empty leaves it to params_file."),
    "image": ("image", "Camera image, raw or compressed (name the compressed topic itself)."),
    "camera_info": ("camera_info", "Its camera_info."),
    "depth": ("depth", "Registered depth; used with use_depth in params_file."),
    "detections_2d": ("detections_2d", "Boxes of a 2D detector; used with use_detections_2d."),
    "autostart": ("true", "Configure and activate the lifecycle node."),
    "namespace": ("", "Of the node and its relative topics."),
    "use_sim_time": ("false", "Take the time from /clock, as for a played bag."),
    "log_level": ("info", "debug, info, warn or error."),
    "params_file": (str(SHARE / "config" / "pose_node.yaml"), "Parameters."),
    "dds_profile": (
        str(SHARE / "config" / "fastdds_large_images.xml"),
        "Fast DDS profile for large images; empty keeps yours. Set it for the camera driver too.",
    ),
    "viewer": ("none", "none, rviz or foxglove."),
}


def pose_node(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {
        "use_sim_time": value["use_sim_time"] == "true",
        "autostart": value["autostart"] == "true",
    }
    if value["models"]:
        parameters["models"] = value["models"].split(",")
    topics = ("image", "camera_info", "depth", "detections_2d")
    profile = SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", value["dds_profile"])
    return [
        *([profile] if value["dds_profile"] else []),
        Node(
            package="surfpose_ros",
            executable="pose_node",
            name="pose_node",
            namespace=value["namespace"],
            parameters=[value["params_file"], parameters],
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
    return LaunchDescription([*arguments, OpaqueFunction(function=pose_node), view])
