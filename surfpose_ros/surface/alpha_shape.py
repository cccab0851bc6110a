"""Alpha shape of a point cloud (Edelsbrunner and Muecke, TOG 1994), with the paper's rule for alpha.

Alpha starts small and grows until the surface is closed and vertex-manifold: as tight a skin as the cloud
allows. It can be no hull of silhouettes: it needs points all over the object.
"""

import numpy as np
from scipy.spatial import Delaunay, QhullError
from scipy.spatial.distance import pdist

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.surface.meshing import mesh_problems, outward

GROWTH, QUANTILE = 1.3, 1.0
# Pairwise distances grow with the square of the points; so many tell the quantile well enough.
SAMPLED = 1500
MIN_POINTS = 30
JITTER = 1e-5


def alpha_mesh(points: np.ndarray) -> Mesh:
    """The tightest closed alpha shape of points ``(P, 3)``, outward normals, unused points left out.

    Raises:
        SurfposeError: too few points, or all in a plane.
    """
    if len(points) < MIN_POINTS:
        raise SurfposeError(
            f"an alpha shape needs {MIN_POINTS} points on the object, and the capture gives {len(points)}; "
            "use --shape hull"
        )
    points = np.unique(points.astype(np.float64), axis=0)
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    try:
        Delaunay(points)  # of points in a plane there is none, and the shift would hide it
        # Shifted by next to nothing: points on one sphere or one plane make flat cells, and cracks of them.
        points = points + JITTER * size * np.random.default_rng(0).uniform(-1, 1, points.shape)
        cells = Delaunay(points).simplices
    except QhullError:
        raise SurfposeError("the points of the object lie in a plane; use --shape hull") from None
    radii = _circumradii(points[cells])
    sample = points[np.linspace(0, len(points) - 1, min(len(points), SAMPLED)).astype(int)]
    alpha = float(np.percentile(pdist(sample), QUANTILE))
    while True:
        mesh = _boundary(points, cells[radii < alpha])
        if len(mesh.faces) and not mesh_problems(mesh):
            return outward(mesh)
        if alpha > radii.max():  # the convex hull was no better
            raise SurfposeError("the points of the object have no closed alpha shape; use --shape hull")
        alpha *= GROWTH


def _circumradii(corners: np.ndarray) -> np.ndarray:
    """Radii ``(T,)`` of the spheres through the corners of tetrahedra ``(T, 4, 3)``."""
    edges = corners[:, 1:] - corners[:, :1]
    centres = np.linalg.solve(2 * edges, (edges**2).sum(axis=2)[..., None])[..., 0]
    return np.asarray(np.linalg.norm(centres, axis=1))


def _boundary(points: np.ndarray, cells: np.ndarray) -> Mesh:
    """The faces of tetrahedra ``(T, 4)`` that only one of them has, turned outward."""
    if not len(cells):
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int64))
    faces = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(4)])
    opposite = np.concatenate([cells[:, corner] for corner in range(4)])
    _, first, counts = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    faces, opposite = faces[first[counts == 1]], opposite[first[counts == 1]]
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), points[opposite] - a) > 0
    faces[inward] = faces[inward][:, ::-1]
    used, index = np.unique(faces, return_inverse=True)
    return Mesh(points[used].astype(np.float32), index.reshape(-1, 3).astype(np.int64))
