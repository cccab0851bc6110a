import fcntl

from surfpose_ros.doctor.shared_memory import dead_segments, remove_dead_segments


def test_only_segments_that_no_process_holds_are_dead_and_removed(tmp_path):
    for name in ("alive", "dead"):
        (tmp_path / f"fastdds_{name}").write_bytes(bytes(10))
        (tmp_path / f"fastdds_{name}_el").touch()
    (tmp_path / "somebody_elses").touch()
    with (tmp_path / "fastdds_alive_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert dead_segments(tmp_path) == [tmp_path / "fastdds_dead"]
        remove_dead_segments(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"fastdds_alive", "fastdds_alive_el", "somebody_elses"}
