"""The pairs of thirteen surfaces, more than one chunk, stopped and taken up again."""

import pytest

from surfpose_ros.alignment.alignment import write_alignment
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.errors import SurfposeError
from surfpose_ros.progress import Cancelled, silent

from .synthetic import make_surfaces

FAST = AlignmentSettings(samples=60, refine_steps=2, joint_steps=2, field_size=16)


@pytest.fixture(scope="module")
def bodies():
    return make_surfaces(13)[0]


def test_a_stopped_alignment_goes_on_from_the_pairs_that_are_done(bodies, tmp_path):
    kept = tmp_path / "a.pairs"

    def stop(stage, done, total, note=""):
        if (stage, done) == ("pairs", 1):
            raise Cancelled

    with pytest.raises(Cancelled):
        align_surfaces(bodies, FAST, stop, kept_pairs=kept)
    assert len(list(kept.iterdir())) == 1
    seen = []
    again = align_surfaces(bodies, FAST, lambda *step: seen.append(step[:3]), kept_pairs=kept)
    assert ("pairs", 1, 2) in seen
    assert ("pairs", 0, 2) not in seen
    assert not kept.exists()
    write_alignment(tmp_path / "again.json", again)
    write_alignment(tmp_path / "straight.json", align_surfaces(bodies, FAST))
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "straight.json").read_bytes()


@pytest.mark.parametrize("spoil", ["other settings", "broken"])
def test_pairs_of_another_alignment_or_broken_ones_are_not_taken_up(bodies, tmp_path, spoil):
    def nobody(function, items):
        for item in items:
            yield item, function(item) if item == 0 else SurfposeError("lost")

    kept, few = tmp_path / "a.pairs", AlignmentSettings(samples=20, refine_steps=0, field_size=16)
    with pytest.raises(SurfposeError, match="lost"):
        align_surfaces(bodies, few, silent, fan_out=nobody, kept_pairs=kept)
    (chunk,) = kept.iterdir()
    if spoil == "broken":
        chunk.write_bytes(b"\xff" * 100)
    settings = few if spoil == "broken" else FAST
    seen = []
    align_surfaces(bodies, settings, lambda *step: seen.append(step[:3]), kept_pairs=kept)
    assert ("pairs", 0, 2) in seen
