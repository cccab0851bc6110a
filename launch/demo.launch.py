"""Without any hardware: a simulated turntable, and capture_node, retrain_node and pose_node on it.

ros2 launch surfpose_ros demo.launch.py viewer:=rviz
ros2 service call /capture_node/start std_srvs/srv/Trigger     (wait for "enough", then ~/stop)
ros2 param set /turntable_sim_node seed 1                      (the next mug; and so on)
ros2 service call /retrain_node/start std_srvs/srv/Trigger     (pose_node takes the model when it is done)
"""

from pathlib import Path

from surfpose_ros.nodes.launching import LARGE_IMAGES, VIEWER, description, include, node, of_node

ARGUMENTS = {
    "category": ("mug", "Parametric objects to simulate."),
    "seed": ("0", "Which of them comes first."),
    "folder": ("demo_ros", "Folder for captures, work and model."),
    **of_node("turntable_sim_node"),
    **LARGE_IMAGES,
    **VIEWER,
}


def actions(values):
    folder, category = Path(values["folder"]), values["category"]
    shared = {name: values[name] for name in ("namespace", "use_sim_time", "log_level")}
    seen = {**shared, "dds_profile": values["dds_profile"]}
    captures = str(folder / "captures")
    training = {
        "category": category,
        "captures_dir": captures,
        "output_dir": str(folder / "model"),
        "work_dir": str(folder / "work"),
        "params_file": of_node("retrain_node")["params_file"][0],
    }
    return [
        *node("turntable_sim_node", values, {"category": category, "seed": int(values["seed"])}),
        include("capture", {**seen, "category": category, "output_dir": captures, "viewer": "none",
                            "params_file": of_node("capture_node")["params_file"][0]}),
        include("retrain", {**shared, **training}),
        include("pose", {**seen, "models": str(folder / "model"), "viewer": values["viewer"],
                         "params_file": of_node("pose_node")["params_file"][0]}),
    ]


def generate_launch_description():
    return description(ARGUMENTS, actions)
