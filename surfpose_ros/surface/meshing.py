"""From a dense mesh to a coarse one fit for a surface: one piece, watertight, manifold, few vertices."""

import fast_simplification
import numpy as np
import trimesh

from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh


def coarse_mesh(dense: Mesh, max_vertices: int) -> Mesh:
    """The largest piece of a closed mesh, smoothed and simplified (quadrics) to `max_vertices` at most.

    Simplification may tear a thin part; the number of faces is then lowered or raised a little until the
    result is watertight and vertex-manifold. Where nothing is, the last try comes back: check it with
    `mesh_problems`.
    """
    pieces = dense.trimesh().split(only_watertight=False)
    whole = max(pieces, key=lambda piece: abs(piece.volume)) if len(pieces) else dense.trimesh()
    # The voxel grid's steps go; Taubin's filter does not shrink.
    trimesh.smoothing.filter_taubin(whole, lamb=0.5, nu=0.53, iterations=10)
    best = mesh_from_trimesh(whole)
    # A closed surface of genus zero has two faces a vertex, less four.
    for share in (1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7):
        faces = int(2 * max_vertices * share) - 4
        if len(whole.faces) > faces:
            vertices, triangles = fast_simplification.simplify(
                whole.vertices.astype(np.float32), whole.faces.astype(np.int32), target_count=faces
            )
            simple = trimesh.Trimesh(vertices, triangles, process=False)
        else:
            simple = whole.copy()
        simple.update_faces(simple.nondegenerate_faces())
        simple.remove_unreferenced_vertices()
        best = mesh_from_trimesh(simple)
        if len(best.vertices) <= max_vertices and not mesh_problems(best):
            break
    return outward(best)


def outward(mesh: Mesh) -> Mesh:
    """The mesh with its faces turned so that a closed volume is positive."""
    return mesh if mesh.trimesh().volume >= 0 else Mesh(mesh.vertices, mesh.faces[:, ::-1].copy())


def mesh_problems(mesh: Mesh) -> list[str]:
    """What keeps a mesh from being a clean closed surface; empty if nothing does."""
    problems = []
    solid = mesh.trimesh()
    if not solid.is_watertight:
        problems.append("not watertight")
    elif not solid.is_winding_consistent:
        problems.append("faces turned both ways")
    if not is_vertex_manifold(mesh):
        problems.append("not vertex-manifold")
    return problems


def is_vertex_manifold(mesh: Mesh) -> bool:
    """Whether the faces around every vertex form one fan: its link is connected.

    The faces' opposite edges at a vertex make its link; with as many nodes as edges in one component it
    is a single loop. Counted by components of (vertex, neighbour) pairs over the whole mesh at once.
    """
    faces = mesh.faces
    if not len(faces):
        return True
    corner = np.concatenate([faces[:, [0, 1, 2]], faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]])
    count = len(mesh.vertices)
    nodes, index = np.unique(
        np.concatenate([corner[:, 0] * count + corner[:, 1], corner[:, 0] * count + corner[:, 2]]),
        return_inverse=True,
    )
    edges = index.reshape(2, -1).T
    labels = trimesh.graph.connected_component_labels(edges, node_count=len(nodes))
    owner = np.zeros(labels.max() + 1, dtype=np.int64)
    owner[labels] = nodes // count
    return len(np.unique(owner)) == len(owner)
