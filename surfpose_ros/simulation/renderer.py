"""A small ray-cast renderer: textured meshes, one lamp with shadow, light from the sky, highlights.

Colours are linear (light) inside and sRGB outside: `encode_srgb` makes the picture. Only the pixels in the
meshes' image box are cast, so a small object over a ready background costs little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.simulation.textured_mesh import TexturedMesh

GAMMA = 2.2


@dataclass(frozen=True)
class Light:
    """A lamp far away and an even sky, in the scene's frame.

    Attributes:
        direction: unit vector towards the lamp, ``(3,)``.
        lamp: its linear RGB strength, ``(3,)``.
        sky: light from above (+z), ``(3,)``.
        ground: light from below, ``(3,)``.
    """

    direction: np.ndarray
    lamp: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    up: np.ndarray

    def turned(self, target_from_source: np.ndarray) -> "Light":
        """The same light in another frame; only the transform's ``(3, 3)`` rotation is used."""
        rotation = target_from_source[:3, :3]
        return replace(self, direction=rotation @ self.direction, up=rotation @ self.up)


@dataclass(frozen=True)
class Rendering:
    """What the camera sees of the meshes.

    Attributes:
        colour: ``(H, W, 3)`` float32, linear.
        depth: ``(H, W)`` float32 metres along the optical axis at the pixel's centre, inf where no mesh is.
        mesh: ``(H, W)`` index of the mesh at the pixel's centre, -1 where there is none.
    """

    colour: np.ndarray
    depth: np.ndarray
    mesh: np.ndarray


def random_light(rng: np.random.Generator, variation: float = 1.0) -> Light:
    """A room's light: lamp from above, a little coloured; `variation` 0 gives the mean of it."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(55 + variation * rng.uniform(-25, 25))
    flat = np.cos(elevation)
    warmth = 1 + variation * rng.uniform(-0.12, 0.12)
    tint = np.array([warmth, 1, 1 / warmth])
    share = 0.42 + variation * rng.uniform(-0.17, 0.17)
    strength = 1.15 + variation * rng.uniform(-0.3, 0.3)
    return Light(
        direction=np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]),
        lamp=strength * share * tint,
        sky=strength * (1 - share) * np.ones(3),
        ground=strength * (1 - share) * 0.55 * np.ones(3),
        up=np.array([0.0, 0.0, 1.0]),
    )


def decode_srgb(picture: np.ndarray) -> np.ndarray:
    """Linear float32 of an 8-bit picture."""
    table = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)
    return table[picture]


def encode_srgb(colour: np.ndarray) -> np.ndarray:
    """8-bit picture of linear colours; bright parts roll off softly instead of being cut."""
    soft = np.where(colour > 0.8, 1 - 0.2 * np.exp(-(np.maximum(colour, 0.8) - 0.8) / 0.2), colour)
    # cv2.pow is several times faster than numpy's.
    return np.asarray(
        cv2.convertScaleAbs(cv2.pow(np.maximum(soft, 0).astype(np.float32), 1 / GAMMA), alpha=255)
    )


def soften(dark: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A hard shadow, sampled coarsely, as a soft one of the picture's ``(H, W)``; 0 to 1."""
    blurred = cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 1.2)
    return cv2.resize(blurred, shape[::-1], interpolation=cv2.INTER_LINEAR)


class Renderer:
    """Renders a fixed set of meshes that share one frame, from any camera; keep it for many views."""

    def __init__(self, meshes: Sequence[TexturedMesh]) -> None:
        self.meshes = tuple(meshes)
        self._scene = EmbreeScene()
        # Embree numbers the geometries in this order; the handles must live as long as the scene.
        self._geometries = [TriangleMesh(self._scene, mesh.corners) for mesh in self.meshes]
        self._textures = [[decode_srgb(picture) for picture in mesh.textures] for mesh in self.meshes]

    def render(
        self,
        camera_from_scene: np.ndarray,
        camera: Camera,
        light: Light,
        background: np.ndarray | None = None,
        supersample: int = 2,
    ) -> Rendering:
        """The meshes before a background.

        Args:
            camera_from_scene: rigid transform, ``(4, 4)``.
            camera: intrinsics and image size.
            light: in the scene's frame.
            background: ``(H, W, 3)`` linear colours; black if None.
            supersample: rays a pixel's side where neighbours differ, against stair-steps at the edges.
        """
        shape = (camera.height, camera.width)
        colour = np.zeros((*shape, 3), np.float32) if background is None else background.astype(np.float32)
        result = Rendering(colour.copy(), np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int64))
        box = self.image_box(camera_from_scene, camera)
        if box is None:
            return result
        rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
        colour, depth, mesh = self._cast(camera_from_scene, camera, light, box, supersample)
        share = colour[..., 3:]
        result.colour[rows, columns] = colour[..., :3] + (1 - share) * result.colour[rows, columns]
        result.depth[rows, columns], result.mesh[rows, columns] = depth, mesh
        return result

    def mesh_map(self, camera_from_scene: np.ndarray, camera: Camera) -> np.ndarray:
        """Index of the mesh at each pixel's centre, ``(H, W)``, -1 where there is none; no colours."""
        result = np.full((camera.height, camera.width), -1)
        box = self.image_box(camera_from_scene, camera)
        if box is not None:
            left, top, right, bottom = box
            u, v = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
            pixels = np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32)
            hits = self._hits(camera_from_scene, camera, pixels)[2]
            found = np.where(hits["primID"] >= 0, hits["geomID"], -1)
            result[top:bottom, left:right] = found.reshape(u.shape)
        return result

    def image_box(self, camera_from_scene: np.ndarray, camera: Camera) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom (exclusive) pixel of the part of the image that meshes can cover."""
        low, high = np.inf, -np.inf
        for mesh in self.meshes:
            bounds = mesh.bounds
            corners = np.stack(np.meshgrid(*bounds.T), axis=-1).reshape(-1, 3)
            in_camera = corners @ camera_from_scene[:3, :3].T + camera_from_scene[:3, 3]
            if (in_camera[:, 2] < 1e-3).any():
                return 0, 0, camera.width, camera.height
            pixels = (in_camera @ camera.matrix.T)[:, :2] / in_camera[:, 2:]
            low, high = np.minimum(low, pixels.min(axis=0)), np.maximum(high, pixels.max(axis=0))
        size = np.array([camera.width, camera.height])
        left_top = np.clip(np.floor(low).astype(int), 0, size)
        right_bottom = np.clip(np.ceil(high).astype(int) + 1, 0, size)
        if (right_bottom <= left_top).any():
            return None
        return int(left_top[0]), int(left_top[1]), int(right_bottom[0]), int(right_bottom[1])

    def shadowed(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Which points ``(N, 3)`` have a mesh between them and a lamp in `direction`, ``(N,)`` bool."""
        rays = np.broadcast_to(direction.astype(np.float32), points.shape)
        return np.asarray(self._scene.run(_floats(points), _floats(rays), query="OCCLUDED")) >= 0

    def _cast(
        self,
        camera_from_scene: np.ndarray,
        camera: Camera,
        light: Light,
        box: tuple[int, int, int, int],
        supersample: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colour with coverage ``(h, w, 4)``, depth and mesh index of the pixels in the box."""
        left, top, right, bottom = box
        u, v = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
        pixels = np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32)
        colour, depth, mesh = (
            x.reshape(*u.shape, *x.shape[1:]) for x in self._trace(camera_from_scene, camera, light, pixels)
        )
        if supersample > 1:
            steps = (np.arange(supersample) + 0.5) / supersample - 0.5
            offsets = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2).astype(np.float32)
            edge = _edges(colour)
            finer = (np.stack([u[edge], v[edge]], axis=-1)[:, None] + offsets).reshape(-1, 2)
            samples = self._trace(camera_from_scene, camera, light, finer)[0]
            colour[edge] = samples.reshape(-1, len(offsets), 4).mean(axis=1)
        return colour, depth, mesh

    def _trace(
        self, camera_from_scene: np.ndarray, camera: Camera, light: Light, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Colour, 1 where a mesh was hit ``(N, 4)``, depth and mesh index of image points ``(N, 2)``."""
        starts, directions, hits = self._hits(camera_from_scene, camera, pixels)
        colour = np.zeros((len(pixels), 4), np.float32)
        depth = np.full(len(pixels), np.inf, np.float32)
        mesh = np.full(len(pixels), -1)
        seen = np.flatnonzero(hits["primID"] >= 0)
        found = {name: values[seen] for name, values in hits.items()}
        colour[seen, :3] = self._shade(starts[seen], directions[seen], found, light)
        colour[seen, 3] = 1
        depth[seen], mesh[seen] = found["tfar"], found["geomID"]
        return colour, depth, mesh

    def _hits(
        self, camera_from_scene: np.ndarray, camera: Camera, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Starts and directions ``(N, 3)`` of the rays through image points ``(N, 2)``, and their hits."""
        to_scene = camera_from_scene[:3, :3].T
        # The direction's z is 1 in the camera's frame, so a ray's length is the depth.
        along = to_scene @ np.linalg.inv(camera.matrix)
        directions = _floats(pixels @ _floats(along[:, :2].T) + _floats(along[:, 2]))
        starts = _floats(np.broadcast_to(-to_scene @ camera_from_scene[:3, 3], directions.shape))
        return starts, directions, self._scene.run(starts, directions, query="INTERSECT", output=True)

    def _shade(
        self, starts: np.ndarray, directions: np.ndarray, hits: dict[str, np.ndarray], light: Light
    ) -> np.ndarray:
        """Linear colours ``(N, 3)`` of the hit points (Lambert, and Blinn-Phong for the highlight)."""
        albedo, normals = np.zeros((2, len(starts), 3), np.float32)
        gloss = np.zeros(len(starts), np.float32)
        for index, mesh in enumerate(self.meshes):
            here = np.flatnonzero(hits["geomID"] == index)
            if not len(here):
                continue
            face = hits["primID"][here]
            b, c = hits["u"][here, None], hits["v"][here, None]
            a = 1 - b - c
            corner = mesh.normals[face]
            normals[here] = a * corner[:, 0] + b * corner[:, 1] + c * corner[:, 2]
            corner = mesh.uv[face]
            uv = a * corner[:, 0] + b * corner[:, 1] + c * corner[:, 2]
            albedo[here] = _sample(self._textures[index], mesh.texture[face], uv)
            gloss[here] = mesh.gloss
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        view = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
        # Seen from behind (open sheets, meshes with mixed winding), a face is lit on the side that is seen.
        normals *= np.where(np.einsum("ij,ij->i", normals, view) < 0, -1, 1)[:, None].astype(np.float32)
        points = starts + directions * hits["tfar"][:, None]
        size = np.ptp(np.concatenate([mesh.bounds for mesh in self.meshes]), axis=0).max()
        facing = np.maximum(normals @ light.direction.astype(np.float32), 0)
        lit = np.zeros(len(points), np.float32)
        towards = np.flatnonzero(facing > 0)
        lit[towards] = ~self.shadowed(points[towards] + 1e-3 * size * normals[towards], light.direction)
        half = view + light.direction.astype(np.float32)
        half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)
        highlight = 0.6 * gloss * lit * np.maximum(np.einsum("ij,ij->i", normals, half), 0) ** 40
        upward = (0.5 + 0.5 * normals @ light.up.astype(np.float32))[:, None]
        received = (facing * lit)[:, None] * light.lamp + upward * light.sky + (1 - upward) * light.ground
        return (albedo * received + highlight[:, None] * light.lamp).astype(np.float32)


def _sample(textures: list[np.ndarray], index: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear colours ``(N, 3)`` of each point's texture at ``uv``, wrapping round."""
    colours = np.empty((len(uv), 3), np.float32)
    for number in np.unique(index):
        here = np.flatnonzero(index == number)
        height, width = textures[number].shape[:2]
        wrapped = uv[here] % 1
        # cv2.remap takes no side over 32767 pixels: the points are laid out in rows.
        maps = np.zeros((2, -(-len(here) // 4096) * 4096), np.float32)
        maps[0, : len(here)] = wrapped[:, 0] * width - 0.5
        maps[1, : len(here)] = (1 - wrapped[:, 1]) * height - 0.5
        u, v = maps.reshape(2, -1, 4096)
        found = cv2.remap(textures[number], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        colours[here] = found.reshape(-1, 3)[: len(here)]
    return colours


def _edges(colour: np.ndarray) -> np.ndarray:
    """Pixels ``(H, W)`` bool that differ visibly from a neighbour, in colour or coverage."""
    low, high = cv2.erode(colour, np.ones((3, 3))), cv2.dilate(colour, np.ones((3, 3)))
    return np.asarray((high - low).max(axis=-1) > 0.05)


def _floats(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
