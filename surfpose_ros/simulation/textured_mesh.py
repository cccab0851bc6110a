"""Triangles with textures: every corner has its own normal and texture coordinate.

A triangle soup, since that is what a ray caster wants and what texture seams and sharp edges need.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import trimesh

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh

SHARP_EDGE = np.deg2rad(40.0)  # faces that meet at a larger angle are not shaded as one smooth surface


@dataclass(frozen=True)
class TexturedMesh:
    """A textured triangle soup.

    Attributes:
        corners: ``(F, 3, 3)`` float32, the triangles' corners, metres.
        normals: ``(F, 3, 3)`` float32, unit normal at each corner.
        uv: ``(F, 3, 2)`` float32, texture coordinates; (0, 0) is the picture's bottom left; wraps round.
        texture: ``(F,)`` index of each face's texture.
        textures: pictures, ``(H, W, 3)`` uint8 RGB each.
        gloss: strength of the highlight, 0 (matt) to 1.
    """

    corners: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    gloss: float = 0.2

    @property
    def bounds(self) -> np.ndarray:
        """Lower and upper corner of the bounding box, ``(2, 3)``."""
        points = self.corners.reshape(-1, 3)
        return np.stack([points.min(axis=0), points.max(axis=0)])

    def mesh(self) -> Mesh:
        """The bare geometry, equal corners merged."""
        soup = trimesh.Trimesh(
            self.corners.reshape(-1, 3), np.arange(3 * len(self.corners)).reshape(-1, 3), process=False
        )
        soup.merge_vertices(merge_tex=True, merge_norm=True)
        return mesh_from_trimesh(soup)

    def transformed(self, target_from_source: np.ndarray) -> "TexturedMesh":
        """The mesh in another frame, through a ``(4, 4)`` similarity."""
        linear = target_from_source[:3, :3]
        rotation = linear / np.cbrt(np.linalg.det(linear))
        corners = self.corners @ linear.T + target_from_source[:3, 3]
        return replace(
            self,
            corners=corners.astype(np.float32),
            normals=(self.normals @ rotation.T).astype(np.float32),
        )

    def split(self, texture: int) -> tuple["TexturedMesh", "TexturedMesh"]:
        """The faces that wear one texture, and the others."""
        chosen = self.texture == texture
        return self._faces(chosen), self._faces(~chosen)

    def _faces(self, chosen: np.ndarray) -> "TexturedMesh":
        parts = (self.corners[chosen], self.normals[chosen], self.uv[chosen], self.texture[chosen])
        return TexturedMesh(*parts, self.textures, self.gloss)

    def centred(self) -> "TexturedMesh":
        """The mesh with its bounding box's centre at the origin."""
        shift = np.eye(4)
        shift[:3, 3] = -self.bounds.mean(axis=0)
        return self.transformed(shift)


def join_meshes(parts: Sequence[TexturedMesh], gloss: float | None = None) -> TexturedMesh:
    """One mesh of several in the same frame; the gloss is the first part's unless given."""
    starts = np.cumsum([0, *(len(part.textures) for part in parts)])
    return TexturedMesh(
        corners=np.concatenate([part.corners for part in parts]),
        normals=np.concatenate([part.normals for part in parts]),
        uv=np.concatenate([part.uv for part in parts]),
        texture=np.concatenate([part.texture + start for part, start in zip(parts, starts, strict=False)]),
        textures=tuple(picture for part in parts for picture in part.textures),
        gloss=parts[0].gloss if gloss is None else gloss,
    )


def textured_mesh(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, texture: np.ndarray, gloss: float = 0.2
) -> TexturedMesh:
    """A mesh of one texture from shared vertices ``(V, 3)``, faces ``(F, 3)`` and vertex uv ``(V, 2)``."""
    corners = vertices[faces].astype(np.float32)
    return TexturedMesh(
        corners=corners,
        normals=_corner_normals(corners),
        uv=uv[faces].astype(np.float32),
        texture=np.zeros(len(faces), np.int64),
        textures=(np.ascontiguousarray(texture, np.uint8),),
        gloss=gloss,
    )


def load_glb(path: Path) -> TexturedMesh:
    """Read a mesh file with its textures or colours (glb, obj, ply and what else trimesh reads).

    Raises:
        SurfposeError: missing, unreadable or without triangles.
    """
    if not path.is_file():
        raise SurfposeError(f"{path}: no such mesh file")
    try:
        scene = trimesh.load_scene(path)
        parts = [
            _part(mesh) for mesh in scene.dump() if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces)
        ]
    except Exception as error:  # trimesh raises whatever its parsers trip over
        raise SurfposeError(f"{path}: not a readable mesh ({error})") from error
    parts = [part for part in parts if len(part.corners)]
    if not parts:
        raise SurfposeError(f"{path}: has no triangles")
    return join_meshes(parts)


def _part(mesh: trimesh.Trimesh) -> TexturedMesh:
    """One trimesh: a material with or without a picture, or colours of vertices or faces."""
    visual: Any = mesh.visual
    corners = np.asarray(mesh.triangles, np.float32)
    uv = np.zeros((len(corners), 3, 2), np.float32)
    if getattr(visual, "material", None) is None:
        picture, uv = _face_colours(np.asarray(visual.face_colors)[:, :3])
    else:
        picture = _picture(visual.material)
        if visual.uv is not None:
            uv = np.asarray(visual.uv, np.float32)[mesh.faces]
            shown = ~_invisible(visual.material, uv)
            corners, uv = corners[shown], uv[shown]
    return TexturedMesh(corners, _corner_normals(corners), uv, np.zeros(len(corners), np.int64), (picture,))


def _invisible(material: Any, uv: np.ndarray) -> np.ndarray:
    """Faces ``(F,)`` bool whose picture is fully transparent: carriers of decals and faked shadows."""
    picture = getattr(material, "baseColorTexture", None)
    if (
        picture is None
        or picture.mode != "RGBA"
        or getattr(material, "alphaMode", None) in (None, "OPAQUE")
    ):
        return np.zeros(len(uv), bool)
    alpha = np.asarray(picture)[..., 3]
    inner = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2], [3, 3, 0], [0, 3, 3], [3, 0, 3]]) / 6
    u, v = np.moveaxis(np.einsum("sc,fcx->fsx", inner, uv) % 1, -1, 0)
    height, width = alpha.shape
    found = alpha[((1 - v) * (height - 1)).astype(int), (u * (width - 1)).astype(int)]
    return np.asarray(found.max(axis=1) < 0.1 * 255)


def _face_colours(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Face colours ``(F, 3)`` as a picture of one texel a face, and the faces' uv ``(F, 3, 2)``."""
    side = int(np.ceil(np.sqrt(len(colours))))
    picture = np.zeros((side * side, 3), np.uint8)
    picture[: len(colours)] = colours
    row, column = np.divmod(np.arange(len(colours)), side)
    uv = np.stack([(column + 0.5) / side, 1 - (row + 0.5) / side], axis=-1).astype(np.float32)
    return picture.reshape(side, side, 3), np.repeat(uv[:, None], 3, axis=1)


def _picture(material: Any) -> np.ndarray:
    """Base colour of a glTF material: its picture times its factor, both sRGB."""
    if not isinstance(material, trimesh.visual.material.PBRMaterial):
        material = material.to_pbr()
    factor = np.ones(3)
    if material.baseColorFactor is not None:
        factor = np.asarray(material.baseColorFactor, np.float64)[:3] / 255
    if material.baseColorTexture is None:
        return np.full((1, 1, 3), 255 * factor).astype(np.uint8)
    picture = np.asarray(material.baseColorTexture.convert("RGB"), np.float64)
    return (picture * factor).astype(np.uint8)


def _corner_normals(corners: np.ndarray) -> np.ndarray:
    """Unit normals ``(F, 3, 3)``: the area-weighted mean of the faces at the corner's point that meet
    this face at less than `SHARP_EDGE`."""
    count = len(corners)
    if not count:
        return corners
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float64)
    unit = area_normals / np.maximum(np.linalg.norm(area_normals, axis=1, keepdims=True), 1e-30)
    scale = max(float(np.ptp(corners)), 1e-12)
    _, point = np.unique(
        np.round(corners.reshape(-1, 3) / (1e-6 * scale)).astype(np.int64), axis=0, return_inverse=True
    )
    corner = np.arange(3 * count)
    incidence = scipy.sparse.csr_matrix((np.ones(3 * count), (corner, point.ravel())))
    pairs = (incidence @ incidence.T).tocoo()
    here, there = pairs.row, pairs.col
    smooth = np.einsum("ij,ij->i", unit[here // 3], unit[there // 3]) > np.cos(SHARP_EDGE)
    total = np.zeros((3 * count, 3))
    np.add.at(total, here[smooth], area_normals[there[smooth] // 3])
    length = np.linalg.norm(total, axis=1, keepdims=True)
    total = np.where(length > 1e-20, total / np.maximum(length, 1e-30), np.repeat(unit, 3, axis=0))
    return total.reshape(count, 3, 3).astype(np.float32)
