"""Without any hardware: a simulated turntable, and capture_node, retrain_node and pose_node on it.

ros2 launch surfpose_ros demo.launch.py viewer:=rviz
ros2 service call /capture_node/start std_srvs/srv/Trigger     (wait for "enough", then ~/stop)
ros2 param set /turntable_sim_node seed 1                      (the next mug; and so on)
ros2 service call /retrain_node/start std_srvs/srv/Trigger     (pose_node takes the model when it is done)
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parent.parent

ARGUMENTS = {
    "category": ("mug", "Parametric objects to simulate."),
    "seed": ("0", "Which of them comes first."),
    "folder": ("demo_ros", "Folder for captures, work and model."),
    "namespace": ("", "Of all nodes and topics."),
    "log_level": ("info", "debug, info, warn or error."),
    "sim_params_file": (str(SHARE / "config" / "turntable_sim_node.yaml"), "Parameters of the simulation."),
    "dds_profile": (
        str(SHARE / "config" / "fastdds_large_images.xml"),
        "Fast DDS profile for large images; empty keeps yours.",
    ),
    "viewer": ("none", "none, rviz or foxglove."),
}


def include(name, arguments):
    source = PythonLaunchDescriptionSource(str(SHARE / "launch" / f"{name}.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def nodes(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    folder, category = Path(value["folder"]), value["category"]
    shared = {name: value[name] for name in ("namespace", "log_level")}
    capture = {
        "category": category,
        "output_dir": str(folder / "captures"),
        "params_file": str(SHARE / "config" / "capture_node.yaml"),
        "dds_profile": value["dds_profile"],
        "viewer": "none",
    }
    retrain = {
        "category": category,
        "captures_dir": str(folder / "captures"),
        "output_dir": str(folder / "model"),
        "work_dir": str(folder / "work"),
        "params_file": str(SHARE / "config" / "retrain_node.yaml"),
    }
    pose = {
        "models": str(folder / "model"),
        "params_file": str(SHARE / "config" / "pose_node.yaml"),
        "dds_profile": value["dds_profile"],
        "viewer": value["viewer"],
    }
    simulation = Node(
        package="surfpose_ros",
        executable="turntable_sim_node",
        name="turntable_sim_node",
        namespace=value["namespace"],
        parameters=[value["sim_params_file"], {"category": category, "seed": int(value["seed"])}],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
    )
    return [
        include("capture", {**shared, **capture}),
        include("retrain", {**shared, **retrain}),
        include("pose", {**shared, **pose}),
        simulation,
    ]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])
