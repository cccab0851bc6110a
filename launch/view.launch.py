"""RViz or Foxglove with this package's layout; the other launch files include it."""

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import LogInfo
from launch_ros.actions import Node

from surfpose_ros.nodes.launching import description
from surfpose_ros.share import share_folder

ARGUMENTS = {
    "viewer": ("rviz", "none, rviz or foxglove."),
    "use_sim_time": ("false", "Take the time from /clock."),
}


def actions(values):
    name, sim_time = values["viewer"], {"use_sim_time": values["use_sim_time"] == "true"}
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
        layout = str(share_folder() / "config" / "surfpose.rviz")
        return [Node(package="rviz2", executable="rviz2", arguments=["-d", layout], parameters=[sim_time])]
    layout = share_folder() / "config" / "foxglove_layout.json"
    hint = f"open https://app.foxglove.dev, connect to ws://localhost:8765 and import the layout {layout}"
    bridge = Node(package="foxglove_bridge", executable="foxglove_bridge", parameters=[sim_time])
    return [bridge, LogInfo(msg=hint)]


def generate_launch_description():
    return description(ARGUMENTS, actions)
