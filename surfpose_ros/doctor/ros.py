"""ROS 2: rclpy, message packages, cv_bridge, launch, and whether large images pass through DDS.

rclpy and message packages are imported by name, as things that may be missing.
"""

import importlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from surfpose_ros.doctor.check import Check
from surfpose_ros.doctor.shared_memory import dead_segments
from surfpose_ros.errors import SurfposeError
from surfpose_ros.share import share_folder

REQUIRED_MESSAGES = (
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "visualization_msgs",
)
# What the nodes go without if one is missing.
OPTIONAL_MESSAGES = {
    "vision_msgs": "pose_node publishes no ~/detections and takes no 2D detections",
    "tf2_msgs": "no TF is published or recorded",
}
VGA_SEGMENT = 4 * 2**20  # smallest shared-memory segment that carries 640x480 raw images
FULL_HD_SEGMENT = 64 * 2**20  # and 1920x1080


def check_ros() -> list[Check]:
    """All of ROS; one single warning where there is no rclpy, since the core works without."""
    try:
        rclpy = importlib.import_module("rclpy")
        rmw = rclpy.get_rmw_implementation_identifier()
    except Exception as error:  # a compiled module may fail in any way
        reason = " ".join(str(error).split())[:150]
        found = f"rclpy cannot be imported ({reason}): no nodes"
        return [Check("ROS 2", "warning", found, _remedy_without_rclpy(reason))]
    distro = os.environ.get("ROS_DISTRO", "from PyPI")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    return [
        Check("ROS 2", "ok", f"{distro}, {rmw}, domain {domain}"),
        check_messages(),
        check_cv_bridge(),
        check_launch(),
        *check_transport(rmw),
    ]


def _remedy_without_rclpy(reason: str) -> str:
    if "numpy" in reason.lower():
        return 'this ROS was built for another NumPy: pip install "numpy<2"'
    if "ROS_DISTRO" in os.environ:
        return "ROS is sourced, but for another Python: use the one it was built for, /usr/bin/python3"
    return 'source /opt/ros/<distro>/setup.bash, or without a ROS: pip install "surfpose_ros[ros]"'


def check_messages() -> Check:
    """The message packages, required and optional."""
    title = "message packages"
    missing = [name for name in REQUIRED_MESSAGES if not _importable(f"{name}.msg", f"{name}.srv")]
    if missing:
        return Check(title, "problem", f"missing: {', '.join(missing)}", _apt(missing))
    missing = [name for name in OPTIONAL_MESSAGES if not _importable(f"{name}.msg")]
    if missing:
        effect = "; ".join(OPTIONAL_MESSAGES[name] for name in missing)
        return Check(title, "warning", f"missing: {', '.join(missing)} ({effect})", _apt(missing))
    return Check(title, "ok", f"all {len(REQUIRED_MESSAGES) + len(OPTIONAL_MESSAGES)} there")


def check_cv_bridge() -> Check:
    """Whether cv_bridge is used; where it is not, our own conversion gives the same pixels."""
    if not _importable("surfpose_ros.messages.images"):
        return Check("cv_bridge", "ok", "not tried: message packages are missing")
    images = importlib.import_module("surfpose_ros.messages.images")
    if images.sound_cv_bridge() is not None:
        return Check("cv_bridge", "ok", "sound, and used")
    if _importable("cv_bridge"):
        found = "built for another NumPy or spoils pixels: not used, our own conversion is"
        return Check("cv_bridge", "ok", found)
    return Check("cv_bridge", "ok", "not there; our own conversion gives the same pixels")


def check_launch() -> Check:
    """The launch system."""
    if _importable("launch.actions") and _importable("launch_ros.actions"):
        return Check("ros2 launch", "ok", "there")
    found = "not there: the launch files cannot be used"
    by_name = "PyPI has none: start the nodes by their names (docs/ros_api.md), or install ROS 2"
    remedy = _apt(["launch_ros", "ros2launch"]) if "ROS_DISTRO" in os.environ else by_name
    return Check("ros2 launch", "warning", found, remedy)


def check_transport(rmw: str, environment: Mapping[str, str] = os.environ) -> list[Check]:
    """Whether raw camera images reach another process.

    Fast DDS loses nearly all best-effort VGA images with its default shared-memory segment of 512 KiB.
    """
    title = "DDS, large images"
    checks = [_check_shared_memory()]
    if rmw != "rmw_fastrtps_cpp":
        found = f"{rmw}: not measured by us; see its documentation on large messages"
        return [*checks, Check(title, "ok", found)]
    profile = environment.get("FASTDDS_DEFAULT_PROFILES_FILE")
    shipped = share_folder() / "config" / "fastdds_large_images.xml"
    remedy = f"export FASTDDS_DEFAULT_PROFILES_FILE={shipped}"
    if not profile:
        found = "Fast DDS with its defaults loses raw images between processes"
        return [*checks, Check(title, "warning", found, remedy)]
    try:
        size = shared_memory_segment(Path(profile))
    except SurfposeError as error:
        return [*checks, Check(title, "warning", str(error), remedy)]
    found = f"{profile}: shared-memory segment of {size / 2**20:.3g} MiB"
    if size < VGA_SEGMENT:
        return [*checks, Check(title, "warning", f"{found}, too small for raw images", remedy)]
    if size < FULL_HD_SEGMENT:
        found += ", enough for 640x480, not for 1920x1080"
    return [*checks, Check(title, "ok", found)]


def shared_memory_segment(profile: Path) -> int:
    """Bytes of the largest shared-memory segment in a Fast DDS profile; 0 where it has none.

    Raises:
        SurfposeError: no such file, or not XML.
    """
    try:
        root = ElementTree.parse(profile).getroot()
    except FileNotFoundError:
        raise SurfposeError(f"{profile}: no such Fast DDS profile") from None
    except (OSError, ElementTree.ParseError) as error:
        raise SurfposeError(f"{profile}: not a readable Fast DDS profile ({error})") from error
    sizes = [0]
    for transport in root.iterfind(".//{*}transport_descriptor"):
        if (transport.findtext("{*}type") or "").strip().upper() == "SHM":
            size = (transport.findtext("{*}segment_size") or "").strip()
            sizes.append(int(size) if size.isdecimal() else 512 * 2**10)
    return max(sizes)


def _check_shared_memory() -> Check:
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return Check("shared memory", "warning", "no /dev/shm", "in Docker, start with --ipc=host")
    found = f"{free / 2**20:.0f} MiB free in /dev/shm"
    if free < 2 * FULL_HD_SEGMENT:
        return Check(
            "shared memory", "warning", found, "in Docker, start with --shm-size=512m or --ipc=host"
        )
    dead = dead_segments()
    if dead:
        size = sum(segment.stat().st_size for segment in dead) / 2**20
        found += f"; {size:.0f} MiB are left by {len(dead)} processes that were killed"
        return Check("shared memory", "warning", found, "fastdds shm clean")
    return Check("shared memory", "ok", found)


def _importable(*alternatives: str) -> bool:
    """Whether one of the modules can be imported; a compiled one may fail in any way."""
    for module in alternatives:
        try:
            importlib.import_module(module)
        except Exception:
            continue
        return True
    return False


def _apt(packages: list[str]) -> str:
    distro = os.environ.get("ROS_DISTRO")
    if distro is None:
        return "source a ROS 2 installation that has them; in a source tree, make setup brings the messages"
    names = " ".join(f"ros-{distro}-{package.replace('_', '-')}" for package in packages)
    return f"sudo apt install {names}"
