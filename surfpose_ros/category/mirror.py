"""The plane in which the objects of a category are their own mirror images, where they have one.

Cars, chairs and mugs do. A picture's mirror image then shows the same object from the mirrored side, and
the network's second opinion on it, mirrored back, makes poses surer (see `pose/looking.py`).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from surfpose_ros.category.model import CategoryModel
from surfpose_ros.category.views import TrainingViews

DIRECTIONS = 1500  # tried for the normal at first
ROUNDS = (0.06, 0.02, 0.006)  # then nearer and nearer to the best, in radians
PLANES = 4  # of the shape, at least `APART` from each other, that the looks choose from
APART = 0.5  # radians
MOST_GAP = 1.0  # between the template and its mirror image, over the distance between neighbouring vertices
MOST_EXCESS = 0.05  # of how far cells of mirrored pictures miss their vertex over those of the pictures
PICTURES = 64  # of the training views, on which a plane is checked


def mirrored_vertices(vertices: Tensor, normal: Tensor) -> Tensor:
    """The vertex nearest to each vertex's mirror image, ``(V,)`` int64; the plane holds the origin."""
    return torch.cdist(_reflected(vertices, normal), vertices).argmin(dim=-1)


def find_mirror(model: CategoryModel, views: TrainingViews) -> list[float] | None:
    """Normal of the mirror plane in the canonical frame; None where shape or looks have none.

    The shape proposes: planes through the template's middle in which it fits itself. The looks decide:
    cells of mirrored training pictures must match mirrored vertices nearly as well as unmirrored ones do.
    """
    vertices = torch.from_numpy(model.template.mesh.vertices).to(model.device)
    chosen = torch.linspace(0, len(views) - 1, min(PICTURES, len(views))).long()
    pictures = views.subset(chosen.to(views.images.device)).to(model.device)
    labels = pictures.labels[:, 0].long()
    least, best = MOST_EXCESS + _miss(model, pictures.images, labels, vertices), None
    for normal in shape_mirrors(vertices):
        partner = mirrored_vertices(vertices, normal)
        turned = torch.where(labels >= 0, partner[labels.clamp_min(0)], labels).flip(-1)
        miss = _miss(model, pictures.images.flip(-1), turned, vertices)
        if miss < least:
            least, best = miss, normal.tolist()
    return best


def shape_mirrors(vertices: Tensor) -> list[Tensor]:
    """Normals ``(3,)`` of the planes through the origin that map ``(V, 3)`` about onto themselves."""
    generator = torch.Generator().manual_seed(0)
    normals = normalize(torch.randn(DIRECTIONS, 3, generator=generator), dim=-1).to(vertices)
    order = _gaps(vertices, normals).argsort()
    found: list[Tensor] = []
    for normal in normals[order[:100]]:
        # A plane has two normals.
        if len(found) < PLANES and all(float((normal @ other).abs()) < np.cos(APART) for other in found):
            found.append(_sharpened(vertices, normal, generator))
    apart = torch.cdist(vertices, vertices).fill_diagonal_(torch.inf).amin(dim=-1).mean()
    return [normal for normal in found if _gaps(vertices, normal[None])[0] < MOST_GAP * apart]


def _sharpened(vertices: Tensor, normal: Tensor, generator: torch.Generator) -> Tensor:
    for spread in ROUNDS:
        near = normal + spread * torch.randn(100, 3, generator=generator).to(vertices)
        tried = normalize(torch.cat([normal[None], near]), dim=-1)
        normal = tried[int(_gaps(vertices, tried).argmin())]
    return normal


def _gaps(vertices: Tensor, normals: Tensor) -> Tensor:
    """How badly the vertices fit their mirror image in each plane, ``(N,)``."""
    return torch.stack(
        [torch.cdist(_reflected(vertices, normal), vertices).amin(dim=-1).mean() for normal in normals]
    )


def _reflected(vertices: Tensor, normal: Tensor) -> Tensor:
    return vertices - 2 * (vertices @ normal)[:, None] * normal


@torch.inference_mode()
def _miss(model: CategoryModel, images: Tensor, labels: Tensor, vertices: Tensor) -> float:
    """Mean distance from the vertex that a cell matches best to the one it shows, in diagonals."""
    features = model.network(images.float() / 255).features
    step = labels.shape[-1] // features.shape[-1]
    shown = labels[:, step // 2 :: step, step // 2 :: step]
    cells = features.permute(0, 2, 3, 1)[shown >= 0]
    found = (cells.float() @ model.vertex_features.T).argmax(dim=-1)
    return float((vertices[found] - vertices[shown[shown >= 0]]).norm(dim=-1).mean())
