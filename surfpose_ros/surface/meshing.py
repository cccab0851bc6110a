"""From a dense mesh to a coarse one fit for a surface: one piece, watertight, manifold, few vertices."""

from itertools import product

import fast_simplification
import numpy as np
import trimesh
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from skimage.measure import marching_cubes

from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

# Of the simplification (low is patient), in the order of trying: its default, 7, tears off thin legs, but
# closes what 5 leaves open on some meshes.
PATIENCE = (5, 7, 3)
# Grid cells along the longest side where holes are closed, and cells to either side of what is closed.
CELLS, REACH = 80, 3


def coarse_mesh(dense: Mesh, max_vertices: int) -> Mesh:
    """The largest piece of a closed mesh, smoothed and simplified (quadrics) to `max_vertices` at most.

    Simplification may tear a thin part; it is then tried with fewer faces, more smoothing and another
    patience until the result is watertight and vertex-manifold; then once more with all its narrow holes
    closed, which noisy masks leave by the dozen. Where no try succeeds, the last comes back: check it with
    `mesh_problems`.
    """
    pieces = dense.trimesh().split(only_watertight=False)
    largest = max(pieces, key=lambda piece: abs(piece.volume)) if len(pieces) else dense.trimesh()
    mesh = _fitting(largest, max_vertices)
    if len(mesh.vertices) > max_vertices or mesh_problems(mesh):
        mesh = _fitting(without_narrow_holes(largest), max_vertices)
    return outward(mesh)


def _fitting(largest: trimesh.Trimesh, max_vertices: int) -> Mesh:
    """The first simplification without problems and with few enough vertices, else the last."""
    for patience, iterations, share in product(PATIENCE, (10, 30, 60), (1.0, 0.97, 0.94, 0.9, 0.8)):
        whole = largest.copy()
        # The voxel grid's steps go; Taubin's filter does not shrink.
        trimesh.smoothing.filter_taubin(whole, lamb=0.5, nu=0.53, iterations=iterations)
        # A closed surface of genus zero has two faces a vertex, less four.
        mesh = _simplified(whole, int(2 * max_vertices * share) - 4, patience)
        if len(mesh.vertices) <= max_vertices and not mesh_problems(mesh):
            break
    return mesh


def without_narrow_holes(solid: trimesh.Trimesh) -> trimesh.Trimesh:
    """A closed mesh anew from a coarse grid, holes and slits up to ``2 REACH`` cells wide filled."""
    pitch = float(solid.extents.max()) / CELLS
    voxels = solid.voxelized(pitch).fill("holes")
    occupied = np.pad(voxels.matrix, REACH + 1)
    closed = binary_erosion(binary_dilation(occupied, iterations=REACH), iterations=REACH)
    # Half of each cell on the surface lies outside.
    vertices, faces, _, _ = marching_cubes(gaussian_filter(closed.astype(np.float32), 1.0), 0.7)
    vertices = (vertices - REACH - 1) * pitch + voxels.transform[:3, 3]
    return max(trimesh.Trimesh(vertices, faces).split(), key=lambda piece: abs(piece.volume))


def _simplified(solid: trimesh.Trimesh, faces: int, patience: int) -> Mesh:
    if len(solid.faces) > faces:
        vertices, triangles = fast_simplification.simplify(
            solid.vertices.astype(np.float32),
            solid.faces.astype(np.int32),
            target_count=faces,
            agg=patience,
        )
        solid = trimesh.Trimesh(vertices, triangles, process=False)
    solid.update_faces(solid.nondegenerate_faces())
    solid.remove_unreferenced_vertices()
    return split_vertices(without_fins(mesh_from_trimesh(solid)))


def without_fins(mesh: Mesh) -> Mesh:
    """The mesh without pairs of faces that lie back to back: what simplification leaves of a sliver."""
    keys = np.sort(mesh.faces, axis=1)
    _, index, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    kept = counts[index.ravel()] % 2 == 1
    if kept.all():
        return mesh
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False)
    solid.remove_unreferenced_vertices()
    pieces = solid.split(only_watertight=False)
    return mesh_from_trimesh(max(pieces, key=lambda piece: len(piece.faces)) if len(pieces) else solid)


def split_vertices(mesh: Mesh) -> Mesh:
    """The mesh with a copy of each vertex for every fan of faces that meets there."""
    corners = mesh.faces.ravel()
    fans = _fans(mesh)
    pairs, index = np.unique(np.stack([corners, fans], axis=1), axis=0, return_inverse=True)
    return Mesh(mesh.vertices[pairs[:, 0]], index.reshape(-1, 3).astype(np.int64))


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
    """Whether the faces around every vertex form one fan."""
    corners = mesh.faces.ravel()
    fans = len(np.unique(np.stack([corners, _fans(mesh)], axis=1), axis=0))
    return fans == len(np.unique(corners))


def _fans(mesh: Mesh) -> np.ndarray:
    """A number for the fan that each corner of each face belongs to, ``(F * 3,)``.

    Two corners at one vertex are in one fan if their faces share an edge at it; fans are the connected
    components over the whole mesh at once.
    """
    faces = mesh.faces
    corner = np.arange(faces.size).reshape(-1, 3)
    count = int(faces.max()) + 1 if faces.size else 1
    # Every corner touches two edges of its face: (vertex, neighbour) on either side.
    edge = np.concatenate(
        [faces * count + np.roll(faces, -1, axis=1), faces * count + np.roll(faces, 1, axis=1)]
    )
    owner = np.concatenate([corner, corner]).ravel()
    _, node = np.unique(edge.ravel(), return_inverse=True)
    links = np.stack([owner, faces.size + node], axis=1)
    labels: np.ndarray = trimesh.graph.connected_component_labels(
        links, node_count=faces.size + node.max() + 1
    )
    return labels[: faces.size]
