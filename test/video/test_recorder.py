"""Recordings that are finished, cut off, or meet a full disk."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from surfpose_ros.errors import SurfposeError
from surfpose_ros.video.bag import TYPESTORE, new_header, new_message, read_messages, read_topics
from surfpose_ros.video.capture import CaptureInfo, read_info
from surfpose_ros.video.recorder import CaptureRecorder, can_record, finish_interrupted, is_interrupted

IMAGE, TF = "sensor_msgs/msg/Image", "tf2_msgs/msg/TFMessage"


def image(number: int, size: int = 16) -> bytes:
    message = new_message(
        IMAGE, header=new_header(number + 1, "camera"), height=size, width=size, encoding="mono8",
        is_bigendian=0, step=size, data=np.full(size * size, number, np.uint8),
    )  # fmt: skip
    return bytes(TYPESTORE.serialize_cdr(message, IMAGE))


def record(folder: Path, count: int = 10) -> CaptureRecorder:
    recorder = CaptureRecorder(folder, CaptureInfo("mug"))
    for number in range(count):
        recorder.write("/image", IMAGE, image(number), 10**9 + number * 10**7)
    return recorder


def numbers(folder: Path) -> list[int]:
    return [int(message.content.data[0]) for message in read_messages(folder, ["/image"])]


def test_a_finished_recording_is_a_bag_with_every_byte_as_it_came(tmp_path):
    recorder = record(tmp_path / "mug_01")
    empty = bytes(TYPESTORE.serialize_cdr(new_message(TF, transforms=[]), TF))
    recorder.write("/tf_static", TF, empty, 2 * 10**9)
    assert recorder.close() == 11
    assert read_topics(tmp_path / "mug_01") == {"/image": IMAGE, "/tf_static": TF}
    with Reader(tmp_path / "mug_01") as reader:
        stored = [(c.topic, stamp, bytes(data)) for c, stamp, data in reader.messages()]
        latched = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert stored[3] == ("/image", 10**9 + 3 * 10**7, image(3))
    assert latched["/tf_static"][0].durability.name == "TRANSIENT_LOCAL"
    assert read_info(tmp_path / "mug_01").category == "mug"


def test_a_recording_brought_to_the_disk_beside_the_writing_loses_nothing(tmp_path):
    recorder = CaptureRecorder(tmp_path / "mug", CaptureInfo("mug"))
    with ThreadPoolExecutor(1) as disk:
        synced = []
        for number in range(50):
            recorder.write("/image", IMAGE, image(number), 10**9 + number)
            synced.append(disk.submit(recorder.sync))
    assert all(future.exception() is None for future in synced)
    recorder.close()
    assert numbers(tmp_path / "mug") == list(range(50))


def test_an_old_recording_is_never_written_over(tmp_path):
    record(tmp_path / "mug_01").close()
    with pytest.raises(SurfposeError, match="exists already"):
        record(tmp_path / "mug_01")
    assert len(numbers(tmp_path / "mug_01")) == 10


def test_a_clock_set_back_leaves_the_messages_in_order(tmp_path):
    recorder = CaptureRecorder(tmp_path / "mug", CaptureInfo("mug"))
    for number, stamp in enumerate([5, 9, 3, 4]):
        recorder.write("/image", IMAGE, image(number), stamp * 10**9)
    recorder.close()
    assert numbers(tmp_path / "mug") == [0, 1, 2, 3]


@pytest.mark.parametrize("lost_bytes", [0, 1, 17, 150, 400])
def test_a_recording_cut_anywhere_opens_up_to_its_last_whole_message(tmp_path, lost_bytes):
    recorder = record(tmp_path / "mug")
    recorder.flush()
    shutil.copytree(tmp_path / "mug", tmp_path / "cut")
    file = next((tmp_path / "cut").glob("*.mcap"))
    os.truncate(file, file.stat().st_size - lost_bytes)
    assert is_interrupted(tmp_path / "cut")
    record_length = 31 + len(image(0))
    whole = 10 - -(-lost_bytes // record_length)
    assert finish_interrupted(tmp_path / "cut") == whole
    assert not is_interrupted(tmp_path / "cut")
    assert numbers(tmp_path / "cut") == list(range(whole))


def test_a_killed_recorder_loses_nothing_that_was_flushed(tmp_path):
    script = (
        "import sys, time\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_recorder import *\n"
        "recorder = record(Path(sys.argv[2]), 50)\n"
        "recorder.flush()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / "mug")],
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert finish_interrupted(tmp_path / "mug") == 50
    assert numbers(tmp_path / "mug") == list(range(50))


def test_a_full_disk_is_said_and_what_was_written_before_stays(tmp_path):
    """The limit on a file's size stands for the disk: beyond it the kernel refuses in the same way."""
    script = (
        "import resource, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_recorder import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "recorder = CaptureRecorder(Path(sys.argv[2]), CaptureInfo('mug'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 2_000_000))\n"
        "try:\n"
        "    for number in range(200):\n"
        "        recorder.write('/image', IMAGE, image(number, 128), 10**9 + number)\n"
        "except SurfposeError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_100_000, 2_000_000))\n"
        "print(recorder.close())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / "mug")],
        capture_output=True,
        text=True,
    )
    said, kept = run.stdout.splitlines()
    assert "the disk refused the recording" in said
    assert numbers(tmp_path / "mug") == list(range(int(kept)))
    assert int(kept) > 50


def test_a_capture_that_was_cut_off_is_finished_by_reading_it(tmp_path):
    record(tmp_path / "mug").flush()
    assert numbers(tmp_path / "mug") == list(range(10))
    assert (tmp_path / "mug" / "metadata.yaml").exists()


def test_a_capture_that_is_being_recorded_is_left_alone(tmp_path):
    recorder = record(tmp_path / "mug", 5)
    recorder.flush()
    with pytest.raises(SurfposeError, match="is being recorded; stop the recording first"):
        numbers(tmp_path / "mug")
    for number in range(5, 10):
        recorder.write("/image", IMAGE, image(number), 10**9 + number * 10**7)
    recorder.close()
    assert numbers(tmp_path / "mug") == list(range(10))


def test_the_bag_of_another_recorder_is_left_alone(tmp_path):
    with Writer(tmp_path / "mug", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/image", IMAGE, typestore=TYPESTORE)
        writer.write(connection, 1, image(1))
    (tmp_path / "mug" / "metadata.yaml").unlink()
    before = next((tmp_path / "mug").glob("*.mcap")).read_bytes()
    assert not is_interrupted(tmp_path / "mug")
    with pytest.raises(SurfposeError, match="mcap recover"):
        finish_interrupted(tmp_path / "mug")
    assert next((tmp_path / "mug").glob("*.mcap")).read_bytes() == before


def test_a_recording_without_even_a_beginning_is_refused_with_its_name(tmp_path):
    (tmp_path / "mug").mkdir()
    (tmp_path / "mug" / "mug.mcap").write_bytes(b"\x89MC")
    with pytest.raises(SurfposeError, match=r"mug\.mcap"):
        finish_interrupted(tmp_path / "mug")


def test_types_without_a_definition_are_known_beforehand():
    assert can_record(IMAGE)
    assert not can_record("nobody_msgs/msg/Nothing")


def test_writing_costs_no_more_memory_as_the_recording_grows(tmp_path):
    recorder = CaptureRecorder(tmp_path / "mug", CaptureInfo("mug"))
    data = image(1, 1000)
    before = None
    for number in range(120):
        recorder.write("/image", IMAGE, data, number)
        if number == 20:
            before = _resident()
    assert _resident() - before < 20e6
    recorder.close()


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
