import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surfpose_ros.doctor.learning import check_backbones, check_models
from surfpose_ros.doctor.machine import check_gpu, check_packages
from surfpose_ros.doctor.ros import check_transport, shared_memory_segment
from surfpose_ros.errors import SurfposeError

PROFILE = """<?xml version="1.0"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"><profiles><transport_descriptors>
  <transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor>
  <transport_descriptor><transport_id>shm</transport_id><type>SHM</type>{size}</transport_descriptor>
</transport_descriptors></profiles></dds>
"""


def profile(folder: Path, size: str) -> Path:
    path = folder / "profile.xml"
    path.write_text(PROFILE.format(size=size))
    return path


def test_a_missing_package_is_a_problem_and_its_pip_name_the_remedy():
    check = check_packages({"numpy": "numpy", "no_such_module": "its-name-on-pypi"})
    assert check.state == "problem"
    assert check.remedy == "pip install its-name-on-pypi"


def test_pytorch_is_said_with_the_device_it_will_use():
    check = check_gpu()
    assert "torch" in check.found
    assert "GPU" in check.found or "cores" in check.found or " on " in check.found


def test_the_segment_of_a_fast_dds_profile_is_read_in_bytes(tmp_path):
    assert shared_memory_segment(profile(tmp_path, "<segment_size>67108864</segment_size>")) == 64 * 2**20


def test_a_profile_that_names_no_segment_size_has_the_default_of_fast_dds(tmp_path):
    assert shared_memory_segment(profile(tmp_path, "")) == 512 * 2**10


@pytest.mark.parametrize("content", ["", "no xml", "<dds>"])
def test_a_broken_profile_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "profile.xml"
    path.write_text(content)
    with pytest.raises(SurfposeError, match="not a readable Fast DDS profile") as caught:
        shared_memory_segment(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "state"),
    [
        ("", "warning"),
        ("<segment_size>4194304</segment_size>", "ok"),
        ("<segment_size>1</segment_size>", "warning"),
    ],
)
def test_fast_dds_needs_a_segment_that_holds_an_image(tmp_path, size, state):
    environment = {"FASTDDS_DEFAULT_PROFILES_FILE": str(profile(tmp_path, size))}
    check = check_transport("rmw_fastrtps_cpp", environment)[-1]
    assert check.state == state
    assert bool(check.remedy) == (state == "warning")


def test_fast_dds_without_a_profile_is_warned_of():
    check = check_transport("rmw_fastrtps_cpp", {})[-1]
    assert check.state == "warning"
    assert check.remedy.startswith("export FASTDDS_DEFAULT_PROFILES_FILE=/")


def test_the_embedded_weights_have_their_checksums():
    assert [check.state for check in check_backbones()] == ["ok"] * len(check_backbones())


def test_damaged_and_missing_weights_are_problems(tmp_path):
    import surfpose_ros.backbones

    shutil.copytree(Path(surfpose_ros.backbones.__file__).parent / "weights", tmp_path, dirs_exist_ok=True)
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "checksum differs" in check_backbones(tmp_path)[0].found
    weights.unlink()
    assert "is not there" in check_backbones(tmp_path)[0].found
    (tmp_path / "SHA256SUMS").unlink()
    assert check_backbones(tmp_path)[0].state == "problem"


def test_a_folder_that_is_no_model_is_a_problem_that_names_it(tmp_path):
    (check,) = check_models([tmp_path / "mug"])
    assert check.state == "problem"
    assert str(tmp_path / "mug") in check.found


def test_the_command_speaks_json_and_fails_only_on_a_problem(tmp_path):
    command = [sys.executable, "-m", "surfpose_ros.cli.main", "doctor", "--json"]
    healthy = subprocess.run(command, capture_output=True, text=True, check=False)
    assert healthy.returncode == 0, healthy.stdout
    report = json.loads(healthy.stdout)
    assert report["ok"]
    assert {"name", "state", "found", "remedy"} == set(report["checks"][0])
    broken = subprocess.run([*command, "--model", tmp_path], capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert not json.loads(broken.stdout)["ok"]


def test_the_profile_that_the_doctor_names_cures_what_it_warns_of():
    remedy = check_transport("rmw_fastrtps_cpp", {})[-1].remedy
    profile = remedy.partition("=")[2]
    cured = check_transport("rmw_fastrtps_cpp", {"FASTDDS_DEFAULT_PROFILES_FILE": profile})[-1]
    assert cured.state == "ok"
    assert "not for 1920x1080" not in cured.found
