import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import save_ply
from surfpose_ros.surface.surface import Surface, SurfaceView, load_surface, save_surface, surface_made_from


@pytest.fixture
def surface(ellipsoid) -> Surface:
    generator = np.random.default_rng(0)
    count = len(ellipsoid.vertices)
    pose = np.eye(4)
    pose[2, 3] = 2.0
    return Surface(
        name="thing_01",
        category="thing",
        backbone="mobilenet_v2",
        mesh=ellipsoid,
        features=generator.normal(size=(count, 3, 8)).astype(np.float16),
        feature_valid=generator.random((count, 3)) > 0.3,
        views=[SurfaceView("a/b.jpg", Camera(np.diag([9.0, 9.0, 1.0]), 64, 48), pose)],
        metric=True,
        up=np.array([0.0, 0.6, 0.8]),
        up_sigma_deg=1.5,
        notes=("seen from above only",),
    )


def test_a_saved_surface_comes_back_the_same(surface, tmp_path):
    save_surface(surface, tmp_path, made_from="abc")
    again = load_surface(tmp_path, "thing_01")
    assert np.array_equal(again.mesh.vertices, surface.mesh.vertices)
    assert np.array_equal(again.mesh.faces, surface.mesh.faces)
    assert np.array_equal(again.features, surface.features)
    assert np.array_equal(again.feature_valid, surface.feature_valid)
    assert again.views[0].frame == "a/b.jpg"
    assert again.views[0].camera.width == 64
    assert np.array_equal(again.views[0].camera_from_video, surface.views[0].camera_from_video)
    assert (again.category, again.backbone, again.metric) == ("thing", "mobilenet_v2", True)
    assert np.array_equal(again.up, surface.up)
    assert (again.up_sigma_deg, again.notes) == (1.5, surface.notes)
    assert surface_made_from(tmp_path, "thing_01") == "abc"


def test_equal_surfaces_make_equal_bytes(surface, tmp_path):
    for name in ("one", "two"):
        save_surface(surface, tmp_path / name)
    for file in ("thing_01.ply", "thing_01.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_missing_broken_and_mismatched_surfaces_say_what_to_do(surface, tmp_path, table):
    with pytest.raises(SurfposeError, match="no such surface; make it with surfpose reconstruct"):
        load_surface(tmp_path, "thing_01")
    assert surface_made_from(tmp_path, "thing_01") is None
    (tmp_path / "junk.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(SurfposeError, match="cannot be read as a surface"):
        load_surface(tmp_path, "junk")
    save_surface(surface, tmp_path)
    save_ply(table, tmp_path / "thing_01.ply")
    with pytest.raises(SurfposeError, match="does not belong to"):
        load_surface(tmp_path, "thing_01")


def test_a_surface_with_one_flipped_bit_is_refused(surface, tmp_path):
    save_surface(surface, tmp_path)
    path = tmp_path / "thing_01.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SurfposeError, match="damaged surface"):
        load_surface(tmp_path, "thing_01")
