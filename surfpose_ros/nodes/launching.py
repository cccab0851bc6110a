"""What the launch files share: arguments, a node that follows them, the viewer. Only they import it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from surfpose_ros.share import share_folder

# name: (default, description)
Arguments = Mapping[str, tuple[str, str]]

CAMERA: Arguments = {
    "image": ("image", "Camera image, raw or compressed (name the compressed topic itself)."),
    "camera_info": ("camera_info", "Its camera_info."),
}
LARGE_IMAGES: Arguments = {
    "dds_profile": (
        str(share_folder() / "config" / "fastdds_large_images.xml"),
        "Fast DDS profile for large images; empty keeps yours. Set it for the camera driver too.",
    ),
}
PATIENCE_S = "60"  # for a node to end after ctrl-c: a training stops after its step, such as a long capture
VIEWER: Arguments = {"viewer": ("none", "none, rviz or foxglove.")}


def of_node(name: str) -> Arguments:
    """The arguments that every node has."""
    return {
        "namespace": ("", "Of the node and its relative topics."),
        "use_sim_time": ("false", "Take the time from /clock, as for a played bag."),
        "log_level": ("info", "debug, info, warn or error."),
        "params_file": (str(share_folder() / "config" / f"{name}.yaml"), "Parameters."),
    }


def description(
    arguments: Arguments, actions: Callable[[Mapping[str, str]], Sequence[LaunchDescriptionEntity]]
) -> LaunchDescription:
    """A launch file of these arguments; `actions` gets their values."""

    def perform(context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        return actions({name: LaunchConfiguration(name).perform(context) for name in arguments})

    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=perform)])


def node(
    name: str, values: Mapping[str, str], parameters: Mapping[str, Any], topics: Sequence[str] = ()
) -> list[LaunchDescriptionEntity]:
    """A node of this package, after the DDS profile where one is wanted.

    Args:
        name: of the executable and the node.
        values: of the launch file's arguments.
        parameters: that win over the parameter file.
        topics: arguments that name a topic to take in place of the one called like them.
    """
    actions: list[LaunchDescriptionEntity] = []
    if values.get("dds_profile"):
        actions.append(SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", values["dds_profile"]))
    own = {"use_sim_time": values.get("use_sim_time") == "true", **parameters}
    actions.append(
        Node(
            package="surfpose_ros",
            executable=name,
            name=name,
            namespace=values["namespace"],
            parameters=[values["params_file"], own],
            remappings=[(topic, values[topic]) for topic in topics if values[topic] != topic],
            arguments=["--ros-args", "--log-level", values["log_level"]],
            output="screen",
            sigterm_timeout=PATIENCE_S,
        )
    )
    return actions


def include(name: str, arguments: Mapping[str, str]) -> IncludeLaunchDescription:
    """Another launch file of this package."""
    source = PythonLaunchDescriptionSource(str(share_folder() / "launch" / f"{name}.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def viewer(values: Mapping[str, str]) -> IncludeLaunchDescription:
    """The viewer that the arguments `viewer` and `use_sim_time` ask for."""
    return include("view", {name: values[name] for name in ("viewer", "use_sim_time")})


def given(values: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Those of the arguments that are not empty."""
    return {name: values[name] for name in names if values[name]}
