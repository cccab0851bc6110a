"""What setup.cfg cannot say, chiefly the files that ROS looks for below share/."""

from collections import defaultdict
from pathlib import Path

from setuptools import setup

SHARE = "share/surfpose_ros"


def shared_files() -> dict[str, list[str]]:
    """The files of launch/, config/ and models/, by the folder they are installed to."""
    files = defaultdict(list)
    for root in ("launch", "config", "models"):
        for path in sorted(Path(root).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                files[f"{SHARE}/{path.parent}"].append(str(path))
    return files


setup(
    python_requires=">=3.11",  # colcon stumbles over it in setup.cfg
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/surfpose_ros"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/hook", ["resource/path.dsv"]),
        *shared_files().items(),
    ],
)
