"""Where the files that ship with the package are: models/, config/, launch/."""

import os
import sys
from pathlib import Path

from surfpose_ros.errors import SurfposeError


def share_folder() -> Path:
    """The folder that holds models/, config/ and launch/: the source tree, else share/surfpose_ros.

    Raises:
        SurfposeError: neither is there; the package was not installed whole.
    """
    source = Path(__file__).resolve().parents[1]
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    candidates = [source, *(Path(prefix) / "share" / "surfpose_ros" for prefix in prefixes if prefix)]
    for folder in candidates:
        if (folder / "package.xml").is_file():
            return folder
    raise SurfposeError(
        f"the files of surfpose_ros (models, config, launch) are in none of "
        f"{', '.join(map(str, candidates))}: source the workspace's install/setup.bash, or install again"
    )
