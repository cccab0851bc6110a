import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from surfpose_ros.errors import MissingExtraError, SurfposeError
from surfpose_ros.files import (
    atomic_file,
    atomic_folder,
    inside,
    locked,
    read_json,
    read_yaml,
    remove_leftovers,
    write_json,
    write_yaml,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)


def contents(folder):
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_its_place_when_the_block_ends(tmp_path):
    with atomic_file(tmp_path / "deep" / "a.json") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "a.json").exists()
        assert temporary.suffix == ".json"
    assert (tmp_path / "deep" / "a.json").read_text() == "new"
    assert contents(tmp_path / "deep") == {"a.json"}


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert contents(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_a_full_disk_is_said_with_the_name_that_was_to_be_written(tmp_path, writer):
    with pytest.raises(OSError, match="No space left") as caught, writer(tmp_path / "model"):
        Path("/dev/full").write_text("much")
    assert caught.value.filename == str(tmp_path / "model")
    assert contents(tmp_path) == set()


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    with atomic_folder(path) as temporary:
        (temporary / "new").touch()
        assert contents(path) == {"old"}
    assert contents(path) == {"new"}
    assert contents(tmp_path) == {"model"}


def test_a_folder_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(path) as temporary:
        (temporary / "new").touch()
        raise RuntimeError
    assert contents(path) == {"old"}
    assert contents(tmp_path) == {"model"}


def test_a_folder_is_there_at_every_instant_while_others_replace_it(tmp_path):
    path = tmp_path / "model"

    def replace(number: int) -> None:
        for _ in range(30):
            with atomic_folder(path) as temporary:
                for name in ("a", "b"):
                    (temporary / name).write_text(str(number))

    replace(0)
    writers = [threading.Thread(target=replace, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.is_dir()
        time.sleep(0)  # lets the writers write
    assert (path / "a").read_text() == (path / "b").read_text()
    assert contents(tmp_path) == {"model"}


def test_a_link_to_a_folder_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to("disk")
    with atomic_folder(tmp_path / "model") as temporary:
        (temporary / "new").touch()
    assert (tmp_path / "model").is_symlink()
    assert contents(tmp_path / "disk") == {"new"}


def test_what_a_killed_process_left_is_removed_once_it_is_old(tmp_path):
    (tmp_path / "whole.json").touch()
    (tmp_path / ".hidden").touch()
    killed = [atomic_file(tmp_path / "a.json"), atomic_folder(tmp_path / "model")]
    for writer in killed:
        writer.__enter__()
    assert len(contents(tmp_path)) == 4
    remove_leftovers(tmp_path)
    assert len(contents(tmp_path)) == 4
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    assert contents(tmp_path) == {"whole.json", ".hidden"}


def test_only_one_works_in_a_folder_at_a_time(tmp_path):
    refused = pytest.raises(SurfposeError, match="another process is at work there")
    with locked(tmp_path / "work"), locked(tmp_path / "other"), refused, locked(tmp_path / "work"):
        pass
    with locked(tmp_path / "work"):
        assert contents(tmp_path / "work") == set()


def test_files_and_folders_get_the_permissions_that_the_umask_asks_for(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    with atomic_file(tmp_path / "file"):
        pass
    with atomic_folder(tmp_path / "folder"):
        pass
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    (tmp_path / "plain_folder").mkdir()
    expected = (tmp_path / "plain_folder").stat().st_mode
    assert (tmp_path / "folder").stat().st_mode == expected


def test_writers_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.json"
    threads = [threading.Thread(target=write_json, args=(path, {"n": [n] * 10_000})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(json.loads(path.read_text())["n"])) == 1
    assert contents(tmp_path) == {"a.json"}


@given(content=st.dictionaries(TEXT, VALUES))
@pytest.mark.parametrize(("write", "read"), [(write_json, read_json), (write_yaml, read_yaml)])
def test_what_is_written_is_read_back(tmp_path_factory, write, read, content):
    path = tmp_path_factory.mktemp("files") / "file"
    content = {"format_version": 1, **{key: content[key] for key in content if key != "format_version"}}
    write(path, content)
    assert read(path, kind="alignment", version=1) == content


def test_keys_keep_their_order_so_that_equal_results_are_equal_files(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["b", "a"]
    write_yaml(tmp_path / "a.yaml", {"b": 1, "a": 2})
    assert (tmp_path / "a.yaml").read_text() == "b: 1\na: 2\n"


def test_a_number_that_is_none_is_not_written_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "a.json", {"figure": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"figure": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"figure": 1}


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read|not a capture"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[1, 2]", "not a capture"),
        (b"{}", "has no format_version"),
        (b'{"format_version": 2}', "reads version 1"),
        (b'{"format_version": "1"}', "reads version 1"),
        (b'{"format_version": 1', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named_in_one_line(tmp_path, read, content, message):
    path = tmp_path / "capture"
    path.write_bytes(content)
    with pytest.raises(SurfposeError, match=message) as caught:
        read(path, kind="capture", version=1)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
@example("!!int ''")
@example("!!timestamp 'x'")
@example("!!bool x")
@example("!!python/object/apply:os.system ['touch pwned']")
@example("? [a]\n: b")
@example("&a [*a]")
def test_any_yaml_is_read_or_refused_and_never_run(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("yaml")
    path = folder / "a.yaml"
    path.write_text(f"format_version: 1\nvalue: {text}\n", encoding="utf-8")
    try:
        content = read_yaml(path, kind="capture", version=1)
    except SurfposeError as error:
        assert "\n" not in str(error)
    else:
        assert content["format_version"] == 1
    assert contents(folder) == {"a.yaml"}
    assert not Path("pwned").exists()


@pytest.mark.parametrize("key", ["value", "format_version"])
def test_yaml_references_that_multiply_or_go_in_a_circle_are_refused(tmp_path, key):
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    for text in ("\n".join([*lines, f"{key}: *a9"]), f"{key}: &a [*a]"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(SurfposeError, match="references") as caught:
            read_yaml(tmp_path / "a.yaml", kind="capture", version=1)
        assert len(str(caught.value)) < 300


def test_a_missing_file_says_what_it_should_be(tmp_path):
    with pytest.raises(SurfposeError, match="no such file; it should be the alignment"):
        read_json(tmp_path / "alignment.json", kind="alignment", version=1)


def test_a_folder_in_place_of_a_file_is_said(tmp_path):
    with pytest.raises(SurfposeError, match="cannot be read as the alignment"):
        read_json(tmp_path, kind="alignment", version=1)


@pytest.mark.parametrize("name", ["a.jpg", "a/b.jpg", "a/../b.jpg", "./a", "..a"])
def test_names_inside_the_folder_are_taken(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name", ["..", "../a", "a/../../b", "/etc/passwd", "a\0b", "link/passwd", "loop/a"]
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SurfposeError, match="leads out of the folder"):
        inside(tmp_path, name)


@given(name=st.text())
def test_no_name_at_all_leads_out_of_the_folder(name):
    folder = Path("/nowhere/data")
    try:
        path = inside(folder, name)
    except SurfposeError:
        return
    assert os.path.commonpath([folder, os.path.normpath(path)]) == str(folder)


def test_a_missing_extra_is_said_with_its_remedy():
    error = MissingExtraError("pycolmap", extra="sfm", purpose="poses by structure from motion")
    assert 'pip install "surfpose_ros[sfm]"' in str(error)
