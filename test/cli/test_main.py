import os
import subprocess
import sys

import pytest

from surfpose_ros import __version__
from surfpose_ros.cli import main
from surfpose_ros.cli.console import counted, err
from surfpose_ros.errors import SurfposeError
from surfpose_ros.progress import Cancelled


def surfpose(*arguments, **environment):
    command = [sys.executable, "-m", "surfpose_ros.cli.main", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_the_version_names_those_of_python_torch_and_ros():
    result = surfpose("--version")
    assert result.returncode == 0
    assert result.stdout.startswith(f"surfpose {__version__}\n")
    assert "torch 2." in result.stdout
    assert "ROS 2" in result.stdout


def test_help_lists_every_command_without_importing_pytorch():
    code = (
        "import sys; from surfpose_ros.cli import main; sys.argv = ['surfpose', '--help']\n"
        "try: main.main()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in main.COMMANDS)


def test_one_is_not_many():
    assert [counted(number, "capture") for number in (0, 1, 2)] == ["0 captures", "1 capture", "2 captures"]


def test_help_wraps_at_the_terminals_width_alone():
    wide = surfpose("retrain", "--help", COLUMNS="300").stdout
    assert (
        "Each stage keeps what it made in the work folder; run again after an interruption or with more "
        in wide
    )


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"], ["doctor", "--no-such"]])
def test_wrong_usage_exits_with_2(arguments):
    assert surfpose(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SurfposeError("mug_03: no images"), "surfpose: mug_03: no images\n"),
        (PermissionError(13, "Permission denied", "/models"), "surfpose: /models: permission denied\n"),
        (OSError(28, "No space left on device"), "surfpose: no space left on device\n"),
        (Cancelled(), "surfpose: stopped; finished steps are kept, run it again to go on\n"),
    ],
)
def test_errors_for_people_are_one_line_and_exit_code_1(monkeypatch, capsys, error, message):
    def fail(**_):
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == message


def test_ctrl_c_says_that_finished_steps_are_kept(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("surfpose_ros.cli.doctor.check_machine", interrupted)
    monkeypatch.setattr("sys.argv", ["surfpose", "doctor"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("surfpose: stopped; finished steps are kept")


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_explains_itself_and_its_options(name, capsys):
    command = main.load_command(name)
    command.main(["--help"], prog_name=f"surfpose {name}", standalone_mode=False)
    assert f"surfpose {name}" in capsys.readouterr().out
    for parameter in command.params:
        assert parameter.name == "help" or parameter.help, f"{name}: {parameter.name} is not explained"


def test_a_shell_completes_the_options_of_a_subcommand():
    asked = {
        "_SURFPOSE_COMPLETE": "complete_bash",
        "COMP_WORDS": "surfpose retrain --pre",
        "COMP_CWORD": "2",
    }
    assert surfpose(**asked).stdout.split() == ["--preset"]


def test_square_brackets_in_a_message_are_printed_as_they_are(capsys):
    err.print('install "surfpose_ros[sfm]"')
    assert capsys.readouterr().err == 'install "surfpose_ros[sfm]"\n'
