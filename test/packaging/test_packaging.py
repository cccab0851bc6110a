"""The package is described in several places that each tool wants for itself: they must agree."""

import ast
import importlib
import re
import sys
from configparser import ConfigParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement

from surfpose_ros import __version__
from surfpose_ros.doctor.machine import REQUIRED
from surfpose_ros.share import share_folder

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")
FROM_DEBIAN = {
    "numpy": "python3-numpy",
    "scipy": "python3-scipy",
    "opencv-python-headless": "python3-opencv",
    "scikit-image": "python3-skimage",
    "PyYAML": "python3-yaml",
    "typer": "python3-typer",
    "rich": "python3-rich",
    "matplotlib": "python3-matplotlib",
}
# Imported only where installed: module, and the extra that brings it.
OPTIONAL = {
    "huggingface_hub": "dinov2",
    "pycolmap": "sfm",
    "google": "datasets",
    "open3d": "open3d",
    "openvino": "openvino",
    "ray": "ray",
}


def requirements(text):
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {requirement.name: requirement for requirement in map(Requirement, filter(None, lines))}


INSTALLED = requirements(SETUP["options"]["install_requires"])
EXTRAS = {name: requirements(text) for name, text in SETUP["options.extras_require"].items()}


def imported_modules():
    """The top-level modules that the package imports, and a file that does."""
    modules = {}
    for path in (ROOT / "surfpose_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            modules |= {name.partition(".")[0]: path for name in names}
    return modules


def test_name_and_version_are_the_same_everywhere():
    assert MANIFEST.findtext("name") == SETUP["metadata"]["name"] == "surfpose_ros"
    assert MANIFEST.findtext("version") == __version__
    assert f"\n{__version__} " in (ROOT / "CHANGELOG.rst").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_a_robot_gets_every_dependency_from_debian_or_from_pip():
    debian = {element.text for element in MANIFEST.iter("exec_depend")}
    pip = requirements((ROOT / "requirements-robot.txt").read_text())
    for name, requirement in INSTALLED.items():
        assert (FROM_DEBIAN.get(name) in debian) != (name in pip), name
        if name in pip:
            assert pip[name].specifier == requirement.specifier
    assert set(pip) <= set(INSTALLED)


# No index has it for every PyTorch; docs/dependencies.md says how it is built.
BUILT_BY_HAND = {"pytorch3d"}


def test_everything_imported_is_declared():
    declared = set(REQUIRED) | set(OPTIONAL) | BUILT_BY_HAND | {"surfpose_ros"}
    ros = {element.text for element in MANIFEST.iter("exec_depend")} | {"rcl_interfaces"}
    for module, path in imported_modules().items():
        known = module in declared or module in ros or module in sys.stdlib_module_names
        assert known, f"{path.relative_to(ROOT)} imports {module}, which setup.cfg and package.xml lack"


def test_every_extra_that_an_error_tells_to_install_exists():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "surfpose_ros").rglob("*.py")]
    named = set(re.findall(r"MissingExtraError\([^)]*extra=\"(\w+)\"", "\n".join(sources)))
    assert named <= set(EXTRAS)


def test_the_doctor_looks_for_what_is_declared():
    assert set(REQUIRED.values()) == set(INSTALLED)
    assert set(OPTIONAL.values()) <= set(EXTRAS)


def test_the_lock_holds_a_version_that_is_allowed_of_every_dependency():
    locked = requirements((ROOT / "requirements.lock").read_text())
    wanted = INSTALLED | EXTRAS["ros"] | EXTRAS["openvino"] | EXTRAS["datasets"] | EXTRAS["dev"]
    for name, requirement in wanted.items():
        pin = locked[re.sub(r"[-_.]+", "-", name).lower()]
        (version,) = (specifier.version for specifier in pin.specifier)
        assert version in requirement.specifier, name


def test_every_dependency_has_its_reason():
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    extras = [name for extra in EXTRAS.values() for name in extra if not name.startswith("ros-")]
    assert [name for name in [*INSTALLED, *extras, *BUILT_BY_HAND] if name not in reasons] == []


@pytest.mark.parametrize("entry", SETUP["options.entry_points"]["console_scripts"].split("\n")[1:])
def test_every_executable_can_be_started(entry):
    module, _, function = entry.partition("=")[2].strip().partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_files_that_ship_are_found():
    assert (share_folder() / "package.xml").samefile(ROOT / "package.xml")


def test_installed_files_are_found_through_the_ament_prefix_path(tmp_path, monkeypatch):
    installed = tmp_path / "share" / "surfpose_ros"
    installed.mkdir(parents=True)
    (installed / "package.xml").touch()
    monkeypatch.setattr("surfpose_ros.share.__file__", "/somewhere/site-packages/surfpose_ros/share.py")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/none:{tmp_path}")
    assert share_folder() == installed
