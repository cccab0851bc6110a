"""RViz or Foxglove with this package's layout; the other launch files include it."""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parent.parent


def viewer(context):
    name = LaunchConfiguration("viewer").perform(context)
    sim_time = {"use_sim_time": LaunchConfiguration("use_sim_time").perform(context) == "true"}
    if name == "none":
        return []
    if name not in ("rviz", "foxglove"):
        raise RuntimeError(f"viewer:={name} is unknown; use none, rviz or foxglove")
    package = {"rviz": "rviz2", "foxglove": "foxglove_bridge"}[name]
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        debian = package.replace("_", "-")
        return [LogInfo(msg=f"no viewer: {package} is missing (apt install ros-$ROS_DISTRO-{debian})")]
    if name == "rviz":
        layout = str(SHARE / "config" / "surfpose.rviz")
        return [Node(package="rviz2", executable="rviz2", arguments=["-d", layout], parameters=[sim_time])]
    layout = SHARE / "config" / "foxglove_layout.json"
    hint = f"open https://app.foxglove.dev, connect to ws://localhost:8765 and import the layout {layout}"
    bridge = Node(package="foxglove_bridge", executable="foxglove_bridge", parameters=[sim_time])
    return [bridge, LogInfo(msg=hint)]


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("viewer", default_value="rviz", description="none, rviz or foxglove."),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock."),
        OpaqueFunction(function=viewer),
    ])
