import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh, load_ply, mesh_from_trimesh, save_ply

BOX = mesh_from_trimesh(trimesh.creation.box((1.0, 2.0, 2.0)))


def test_the_diagonal_is_that_of_the_bounding_box():
    assert BOX.diagonal == pytest.approx(3.0)


def test_normals_of_a_sphere_point_outwards():
    sphere = mesh_from_trimesh(trimesh.creation.icosphere(subdivisions=3))
    assert (np.einsum("ij,ij->i", sphere.normals, sphere.vertices) > 0.99).all()


def test_a_similarity_moves_scales_and_turns_a_mesh():
    target_from_source = np.array([[0, -2, 0, 1], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    moved = BOX.transformed(target_from_source)
    expected = trimesh.transform_points(BOX.vertices, target_from_source)
    np.testing.assert_allclose(moved.vertices, expected, atol=1e-6)
    assert moved.diagonal == pytest.approx(6.0)
    assert moved.trimesh().volume == pytest.approx(8 * 4.0)


@given(vertices=arrays(np.float32, (6, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_a_ply_gives_back_the_same_vertices_and_faces_in_order(tmp_path_factory, vertices):
    faces = np.array([[0, 1, 2], [3, 4, 5], [0, 0, 1]])
    path = tmp_path_factory.mktemp("ply") / "mesh.ply"
    save_ply(Mesh(vertices, faces), path)
    loaded = load_ply(path)
    np.testing.assert_array_equal(loaded.vertices, vertices)
    np.testing.assert_array_equal(loaded.faces, faces)
    assert loaded.vertices.dtype == np.float32
    assert loaded.faces.dtype == np.int64


def test_a_missing_ply_is_named(tmp_path):
    with pytest.raises(SurfposeError, match=r"no_such\.ply: no such mesh"):
        load_ply(tmp_path / "no_such.ply")


def test_a_ply_cut_short_anywhere_is_refused_in_one_line(tmp_path):
    path = tmp_path / "mesh.ply"
    save_ply(BOX, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SurfposeError) as caught:
            load_ply(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [-1, 8, 2**31 - 1])
def test_faces_that_name_no_vertex_are_refused(tmp_path, bad):
    faces = BOX.faces.copy()
    faces[3, 1] = bad
    header = (
        "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
    )
    header += "element face 12\nproperty list uchar int vertex_indices\nend_header\n"
    body = [" ".join(map(str, row)) for row in BOX.vertices]
    body += ["3 " + " ".join(map(str, row)) for row in faces]
    (tmp_path / "mesh.ply").write_text(header + "\n".join(body) + "\n")
    with pytest.raises(SurfposeError, match=r"mesh\.ply"):
        load_ply(tmp_path / "mesh.ply")


def test_vertices_that_are_not_finite_are_refused(tmp_path):
    vertices = BOX.vertices.copy()
    vertices[0, 0] = np.nan
    save_ply(Mesh(vertices, BOX.faces), tmp_path / "mesh.ply")
    with pytest.raises(SurfposeError, match="not finite"):
        load_ply(tmp_path / "mesh.ply")


@given(content=st.binary(max_size=300))
def test_any_bytes_are_a_mesh_or_a_one_line_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("ply") / "mesh.ply"
    path.write_bytes(b"ply\n" + content)
    with pytest.raises(SurfposeError) as caught:
        load_ply(path)
    assert "\n" not in str(caught.value)
