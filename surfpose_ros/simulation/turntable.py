"""A camera that looks at an object on a turntable, in a plain room, with ground truth.

The base frame stands still: origin at the middle of the disc's top, z along the axis of rotation, the
camera on its +x side. The platform turns in it by the joint's angle, and the object stands on the platform
somewhere near the middle, turned anyhow. After each full turn the camera is set to the next elevation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views, rotation_from_rotvec
from surfpose_ros.simulation.objects import SimulatedObject
from surfpose_ros.simulation.patterns import fractal_noise, random_colour
from surfpose_ros.simulation.renderer import Renderer, encode_srgb, random_light, soften
from surfpose_ros.simulation.sensor import SensorNoise
from surfpose_ros.simulation.shapes import box, revolved
from surfpose_ros.simulation.textured_mesh import TexturedMesh


@dataclass(frozen=True)
class TurntableSettings:
    """What a person would choose when setting up the table.

    Attributes:
        width: of the image, pixels.
        height: of the image, pixels.
        field_of_view: across the image's width, radians.
        fill: the object's diagonal as a share of the image's height.
        elevations: of the camera above the disc, radians, one a turn.
        noise: standard deviation of the image noise, grey levels of 255.
        light_variation: 0 for the same even light always, 1 for any room's.
    """

    width: int = 640
    height: int = 480
    field_of_view: float = float(np.deg2rad(45))
    fill: float = 0.65
    elevations: tuple[float, ...] = tuple(float(x) for x in np.deg2rad([12, 35, 60]))
    noise: float = 2.0
    light_variation: float = 1.0


@dataclass(frozen=True)
class TurntableFrame:
    """One picture and the truth about it.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        depth: ``(H, W)`` float32 metres along the optical axis, 0 where nothing is near.
        mask: ``(H, W)`` bool, True on the object.
        camera_from_object: rigid transform, ``(4, 4)``.
    """

    image: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    camera_from_object: np.ndarray


@dataclass(frozen=True)
class _Backdrop:
    """The still room from one elevation: the whole picture, and of the part that changes what it takes
    to let the object's shadow fall on it."""

    picture: np.ndarray
    depth: np.ndarray
    region: tuple[slice, slice]
    camera: Camera
    lit: np.ndarray
    unlit: np.ndarray
    points: np.ndarray


class Turntable:
    """An object on a turntable before a camera; equal seeds give equal pictures.

    A `plate`, such as a printed board, lies on the disc under the object and turns with it; it is in the
    base frame at angle 0.
    """

    def __init__(
        self,
        item: SimulatedObject,
        settings: TurntableSettings | None = None,
        seed: int = 0,
        plate: TexturedMesh | None = None,
    ) -> None:
        self.settings = settings or TurntableSettings()
        rng = np.random.default_rng([seed, 71])
        diagonal = float(np.linalg.norm(item.size))
        self.camera = _camera(self.settings)
        self._distance = diagonal * self.camera.matrix[1, 1] / (self.settings.fill * self.settings.height)
        self._look_at = np.array([0.0, 0.0, 0.45 * item.size[2]])
        self._platform_from_object = np.eye(4)
        self._platform_from_object[:3, :3] = _about_z(rng.uniform(0, 2 * np.pi))
        self._platform_from_object[:3, 3] = [*(0.04 * diagonal * rng.uniform(-1, 1, 2)), item.size[2] / 2]
        self._light = random_light(rng, self.settings.light_variation)
        self._radius = _disc_radius(item)
        turning = [item.mesh]
        if plate is not None:
            turning.append(plate.transformed(np.linalg.inv(self._platform_from_object)))
        self._object = Renderer(turning)
        self._room = Renderer(_room(rng, item, 4 * self._distance))
        self._noise = SensorNoise(self.settings.noise, self.settings.width, self.settings.height, seed)
        self._height = float(item.size[2])
        self._backdrops: dict[float, _Backdrop] = {}

    def views(self, count: int) -> list[tuple[float, float]]:
        """(angle, elevation) of `count` frames, spread evenly over one turn for each elevation."""
        turns = np.array_split(np.arange(count), len(self.settings.elevations))
        return [
            (2 * np.pi * step / len(turn), elevation)
            for turn, elevation in zip(turns, self.settings.elevations, strict=True)
            for step in range(len(turn))
        ]

    def base_from_camera(self, elevation: float) -> np.ndarray:
        """Pose ``(4, 4)`` of the camera's optical frame in the turntable's base."""
        angles = (torch.tensor(float(x), dtype=torch.float64) for x in (0, elevation, 0))
        rotation = camera_from_object_views(*angles).numpy().T
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = self._look_at - self._distance * rotation[:, 2]
        return pose

    def base_from_object(self, angle: float) -> np.ndarray:
        """Pose ``(4, 4)`` of the object when the joint stands at `angle`, radians."""
        base_from_platform = np.eye(4)
        base_from_platform[:3, :3] = _about_z(angle)
        return base_from_platform @ self._platform_from_object

    def camera_from_object(self, angle: float, elevation: float) -> np.ndarray:
        """The truth: rigid transform ``(4, 4)``."""
        return np.linalg.inv(self.base_from_camera(elevation)) @ self.base_from_object(angle)

    def frame(self, angle: float, elevation: float, with_object: bool = True) -> TurntableFrame:
        """What the camera sees; without the object, the empty turntable."""
        backdrop = self._backdrop(elevation)
        picture, depth = backdrop.picture.copy(), backdrop.depth.copy()
        mask = np.zeros(picture.shape[:2], bool)
        pose = self.camera_from_object(angle, elevation)
        if with_object:
            base_from_object = self.base_from_object(angle)
            light = self._light.turned(base_from_object[:3, :3].T)
            shade = self._shadow(backdrop, base_from_object)[..., None]
            behind = shade * backdrop.unlit + (1 - shade) * backdrop.lit
            seen = self._object.render(pose, backdrop.camera, light, behind)
            picture[backdrop.region] = encode_srgb(seen.colour)
            mask[backdrop.region] = seen.mesh == 0
            depth[backdrop.region] = np.where(seen.mesh >= 0, seen.depth, depth[backdrop.region])
        return TurntableFrame(self._noise.add(picture), depth, mask, pose)

    def _shadow(self, backdrop: _Backdrop, base_from_object: np.ndarray) -> np.ndarray:
        """How much of the lamp the object keeps from the room's points, ``(h, w)`` in 0..1."""
        in_object = (backdrop.points - base_from_object[:3, 3]) @ base_from_object[:3, :3]
        direction = base_from_object[:3, :3].T @ self._light.direction
        dark = self._object.shadowed(in_object.reshape(-1, 3), direction).reshape(backdrop.points.shape[:2])
        return soften(dark, backdrop.lit.shape[:2])

    def _backdrop(self, elevation: float) -> _Backdrop:
        if elevation in self._backdrops:
            return self._backdrops[elevation]
        camera_from_base = np.linalg.inv(self.base_from_camera(elevation))
        lit = self._room.render(camera_from_base, self.camera, self._light)
        unlit = self._room.render(camera_from_base, self.camera, replace(self._light, lamp=np.zeros(3)))
        region = self._region(camera_from_base)
        rows, columns = region
        size = (columns.stop - columns.start, rows.stop - rows.start)
        depth = np.where(np.isfinite(lit.depth), lit.depth, 0)
        v, u = np.mgrid[rows.start : rows.stop : 2, columns.start : columns.stop : 2]
        rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(self.camera.matrix).T
        points = rays * depth[v, u][..., None]
        pose = self.base_from_camera(elevation)
        backdrop = _Backdrop(
            picture=encode_srgb(lit.colour),
            depth=depth,
            region=region,
            camera=self.camera.cropped(columns.start, rows.start, *size, scale=1.0),
            lit=lit.colour[region],
            unlit=unlit.colour[region],
            points=points @ pose[:3, :3].T + pose[:3, 3],
        )
        self._backdrops[elevation] = backdrop
        return backdrop

    def _region(self, camera_from_base: np.ndarray) -> tuple[slice, slice]:
        """The part of the picture in which the object and its shadow move."""
        r = 1.6 * self._radius
        corners = np.stack(np.meshgrid([-r, r], [-r, r], [0, self._height]), axis=-1).reshape(-1, 3)
        in_camera = corners @ camera_from_base[:3, :3].T + camera_from_base[:3, 3]
        pixels = (in_camera @ self.camera.matrix.T)[:, :2] / np.maximum(in_camera[:, 2:], 1e-3)
        left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
        right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + 1
        return slice(top, min(bottom, self.camera.height)), slice(left, min(right, self.camera.width))


def record(turntable: Turntable, count: int) -> Iterator[tuple[float, float, TurntableFrame]]:
    """(angle, elevation, frame) of `count` views."""
    for angle, elevation in turntable.views(count):
        yield angle, elevation, turntable.frame(angle, elevation)


def _camera(settings: TurntableSettings) -> Camera:
    focal = settings.width / 2 / np.tan(settings.field_of_view / 2)
    centre = [(settings.width - 1) / 2, (settings.height - 1) / 2]
    return Camera(
        np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]]), settings.width, settings.height
    )


def _room(rng: np.random.Generator, item: SimulatedObject, reach: float) -> list[TexturedMesh]:
    """The turntable's disc, the table it stands on and the wall behind, none of the object's colours."""
    palette = _palette(item.mesh)
    radius = _disc_radius(item)
    rim = 0.12 * radius
    disc = revolved(
        np.array(
            [
                [0.97 * radius, -rim],
                [radius, -0.9 * rim],
                [radius, -0.1 * rim],
                [0.985 * radius, 0],
                [0, 0],
            ]
        ),
        np.broadcast_to(_backdrop_colour(rng, palette), (2, 2, 3)).astype(np.uint8),
    )
    table = box(np.array([2 * reach, 2 * reach, 0.02 * reach]), _mottled(rng, palette, 0.3), gloss=0.1)
    wall = box(np.array([0.02 * reach, 2 * reach, 2 * reach]), _mottled(rng, palette, 0.15), gloss=0.0)
    table_top = np.eye(4)
    table_top[2, 3] = -rim - 0.01 * reach
    behind = np.eye(4)
    behind[0, 3] = -0.75 * reach
    return [disc, table.transformed(table_top), wall.transformed(behind)]


def _disc_radius(item: SimulatedObject) -> float:
    return 0.75 * float(np.linalg.norm(item.size))


def _mottled(rng: np.random.Generator, palette: np.ndarray, contrast: float) -> np.ndarray:
    """A colour that is not quite even, ``(512, 512, 3)`` uint8."""
    shade = 1 - contrast * fractal_noise(rng, 512, 512, roughness=0.75)[..., None]
    return np.clip(shade * _backdrop_colour(rng, palette), 0, 255).astype(np.uint8)


def _palette(mesh: TexturedMesh) -> np.ndarray:
    """Chroma (CIELAB a, b) of the object's surface, ``(N, 2)``, each picture as often as it is used."""
    samples = []
    for index, picture in enumerate(mesh.textures):
        share = float((mesh.texture == index).mean())
        texels = picture.reshape(-1, 3)
        samples.append(texels[:: max(1, round(len(texels) / max(1, 300 * share)))])
    return _chroma(np.concatenate(samples))


def _backdrop_colour(rng: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """A quiet colour ``(3,)`` in 0..255 that the object does not have, as a person chooses a backdrop."""
    candidates = np.stack([random_colour(rng, (0.45, 0.95)) for _ in range(12)])
    candidates = 0.5 * candidates + 0.5 * candidates.mean(axis=1, keepdims=True)
    away = np.linalg.norm(_chroma(candidates.astype(np.uint8))[:, None] - palette, axis=2)
    return np.asarray(candidates[np.argmax(np.percentile(away, 10, axis=1))])


def _chroma(colours: np.ndarray) -> np.ndarray:
    """CIELAB a and b, ``(N, 2)``, of sRGB ``(N, 3)`` uint8."""
    lab = cv2.cvtColor(colours[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[0, :, 1:])


def _about_z(angle: float) -> np.ndarray:
    return rotation_from_rotvec(torch.tensor([0.0, 0.0, angle], dtype=torch.float64)).numpy()
