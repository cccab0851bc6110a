"""In-the-wild pictures: an object among clutter on a table, partly hidden, before a photo-like background.

Every scene follows from its seed alone, with the truth: pose, box, mask and visible share.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.simulation.objects import CATEGORIES, SimulatedObject
from surfpose_ros.simulation.patterns import fractal_noise, muted, random_colour, random_pattern
from surfpose_ros.simulation.renderer import Light, Renderer, decode_srgb, encode_srgb, random_light, soften
from surfpose_ros.simulation.sensor import SensorNoise
from surfpose_ros.simulation.shapes import box, ellipsoid, revolved
from surfpose_ros.simulation.textured_mesh import TexturedMesh


@dataclass(frozen=True)
class SceneSettings:
    """How hard the scenes are.

    Attributes:
        width: of the image, pixels.
        height: of the image, pixels.
        field_of_view: across the image's width, radians.
        elevation: range of the camera's height above the table, radians.
        roll: largest turn of the camera about its axis, radians.
        fill: range of the object's diagonal as a share of the image's height.
        clutter: other things in the scene, at most.
        hidden: largest share of the object that other things may hide.
        noise: standard deviation of the image noise, grey levels of 255.
    """

    width: int = 640
    height: int = 480
    field_of_view: float = float(np.deg2rad(55))
    elevation: tuple[float, float] = (float(np.deg2rad(8)), float(np.deg2rad(55)))
    roll: float = float(np.deg2rad(12))
    fill: tuple[float, float] = (0.25, 0.6)
    clutter: int = 8
    hidden: float = 0.4
    noise: float = 3.0


@dataclass(frozen=True)
class Scene:
    """One picture and the truth about the object in it.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        depth: ``(H, W)`` float32 metres along the optical axis, 0 where nothing is near.
        mask: ``(H, W)`` bool, the object's visible pixels.
        box: x, y, width, height of the whole object in the picture, hidden parts too, pixels.
        visible: share of the object's pixels that nothing hides and the picture's edge does not cut.
        front_seen: share of the visible pixels that belong to the part that tells the front (a mug's
            handle); 1 for objects without such a part.
        camera: intrinsics.
        camera_from_object: rigid transform, ``(4, 4)``.
        size: of the object along its axes, ``(3,)`` metres.
    """

    image: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    box: tuple[int, int, int, int]
    visible: float
    front_seen: float
    camera: Camera
    camera_from_object: np.ndarray
    size: np.ndarray


def make_scene(item: SimulatedObject, seed: int, settings: SceneSettings | None = None) -> Scene:
    """An object of known shape in a scene drawn from `seed`."""
    settings = settings or SceneSettings()
    rng = np.random.default_rng([seed, 29])
    camera, camera_from_object = _place_camera(rng, item, settings)
    light = random_light(rng)
    margin = (camera.height // 2, camera.width // 2)
    whole_mask = Renderer([item.mesh]).mesh_map(camera_from_object, _wider(camera)) >= 0
    for attempt in range(20):
        # Fewer and fewer things, until enough of the object is seen.
        things = _clutter(rng, item, camera_from_object, settings.clutter * (20 - attempt) // 20)
        renderer = Renderer([item.mesh, *things])
        ids = renderer.mesh_map(camera_from_object, camera)
        visible = float((ids == 0).sum() / max(whole_mask.sum(), 1))
        if visible >= 1 - settings.hidden:
            break
    background, depth = _background(rng, camera, camera_from_object, item, light, renderer)
    seen = renderer.render(camera_from_object, camera, light, background)
    image = encode_srgb(seen.colour)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    image = SensorNoise(rng.uniform(0, settings.noise), camera.width, camera.height, seed).add(image)
    left, top, width, height = cv2.boundingRect(whole_mask.astype(np.uint8))
    return Scene(
        image=image,
        depth=np.where(seen.mesh >= 0, seen.depth, depth),
        mask=seen.mesh == 0,
        box=(left - margin[1], top - margin[0], width, height),
        visible=visible,
        front_seen=_front_seen(item, things, camera_from_object, camera),
        camera=camera,
        camera_from_object=camera_from_object,
        size=item.size,
    )


def _front_seen(
    item: SimulatedObject,
    things: list[TexturedMesh],
    camera_from_object: np.ndarray,
    camera: Camera,
) -> float:
    if item.front is None:
        return 1.0
    parts = Renderer([*item.mesh.split(item.front), *things])
    ids = parts.mesh_map(camera_from_object, camera)
    return float((ids == 0).sum() / max(((ids == 0) | (ids == 1)).sum(), 1))


def _place_camera(
    rng: np.random.Generator, item: SimulatedObject, settings: SceneSettings
) -> tuple[Camera, np.ndarray]:
    """A camera above the table that has the object somewhere in its picture."""
    width, height = settings.width, settings.height
    focal = width / 2 / np.tan(settings.field_of_view / 2)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    angles = (
        rng.uniform(0, 2 * np.pi),
        rng.uniform(*settings.elevation),
        rng.uniform(-1, 1) * settings.roll,
    )
    fill = rng.uniform(*settings.fill)
    pose = np.eye(4)
    pose[:3, :3] = camera_from_object_views(*(torch.tensor(x, dtype=torch.float64) for x in angles)).numpy()
    pose[2, 3] = np.linalg.norm(item.size) * focal / (fill * height)
    margin = 0.5 * fill * height
    pixel = [rng.uniform(margin, size - margin) for size in (width, height)]
    aside = np.eye(4)
    aside[:3, :3] = _turn_axis_to(np.linalg.solve(matrix, [*pixel, 1.0]))
    return Camera(matrix, width, height), aside @ pose


def _turn_axis_to(direction: np.ndarray) -> np.ndarray:
    """The smallest rotation ``(3, 3)`` that takes the z axis to a direction (Rodrigues)."""
    x, y, z = direction / np.linalg.norm(direction)
    return np.array([
        [1 - x * x / (1 + z), -x * y / (1 + z), x], [-x * y / (1 + z), 1 - y * y / (1 + z), y], [-x, -y, z],
    ])  # fmt: skip


def _wider(camera: Camera) -> Camera:
    """The camera with half a picture more on every side."""
    x, y = -(camera.width // 2), -(camera.height // 2)
    return camera.cropped(x, y, camera.width - 2 * x, camera.height - 2 * y, scale=1.0)


def _clutter(
    rng: np.random.Generator, item: SimulatedObject, camera_from_object: np.ndarray, most: int
) -> list[TexturedMesh]:
    """Other things that stand on the table, one of them often between camera and object."""
    diagonal = float(np.linalg.norm(item.size))
    eye = -camera_from_object[:3, :3].T @ camera_from_object[:3, 3]
    to_camera = np.arctan2(eye[1], eye[0])
    things: list[TexturedMesh] = []
    taken = [(np.zeros(2), 0.5 * float(np.linalg.norm(item.size[:2])))]
    for number in range(rng.integers(most // 2, most + 1) if most else 0):
        thing = _thing(rng, item.category, diagonal * rng.uniform(0.4, 1.6))
        low, high = thing.bounds
        radius = float(np.linalg.norm((high - low)[:2])) / 2
        in_front = number == 0
        for _ in range(10):
            bearing = to_camera + rng.normal(0, 0.35) if in_front else rng.uniform(0, 2 * np.pi)
            away = (
                taken[0][1]
                + radius
                + diagonal * (rng.uniform(0.02, 0.5) if in_front else rng.uniform(0.1, 3))
            )
            place = away * np.array([np.cos(bearing), np.sin(bearing)])
            if all(np.linalg.norm(place - other) > radius + reach for other, reach in taken):
                taken.append((place, radius))
                pose = np.eye(4)
                pose[:3, 3] = [*place, -item.size[2] / 2 - low[2]]
                things.append(thing.transformed(pose))
                break
    return things


def _thing(rng: np.random.Generator, category: str, size: float) -> TexturedMesh:
    """A box, ball or pot, or an object of another category, of diagonal `size`, turned about z."""
    picture = random_pattern(rng, 256)
    gloss = rng.uniform(0, 0.5)
    shape = size / np.sqrt(3) * rng.uniform(0.4, 1.5, 3)
    others = [name for name in CATEGORIES if name != category]
    kind = rng.integers(4 if others else 3)
    if kind == 0:
        thing = box(shape, picture, gloss)
    elif kind == 1:
        thing = ellipsoid(shape, picture, gloss)
    elif kind == 2:
        radius = shape[0] / 2 * rng.uniform(0.5, 1.0, 6)
        profile = np.stack([radius, np.linspace(0, shape[2], 6)], axis=1)
        profile = np.concatenate([[[0, 0]], profile, [[0, shape[2]]]])
        thing = revolved(profile, picture, 48, gloss)
    else:
        thing = CATEGORIES[others[rng.integers(len(others))]](rng)
    low, high = thing.bounds
    angle, scale = rng.uniform(0, 2 * np.pi), size / np.linalg.norm(high - low)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.diag([scale, scale, scale, 1.0])
    turn[:2, :2] = [[c, -s], [s, c]]
    return thing.transformed(turn)


def _background(
    rng: np.random.Generator,
    camera: Camera,
    camera_from_object: np.ndarray,
    item: SimulatedObject,
    light: Light,
    renderer: Renderer,
) -> tuple[np.ndarray, np.ndarray]:
    """The table with the things' shadows, and what is behind it: linear colours and depth."""
    colour = decode_srgb(photo_like(rng, camera.height, camera.width))
    diagonal = float(np.linalg.norm(item.size))
    to_object = camera_from_object[:3, :3].T
    eye = -to_object @ camera_from_object[:3, 3]
    v, u = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([u, v, np.ones_like(u)], axis=-1)
    rays = pixels @ (to_object @ np.linalg.inv(camera.matrix)).T
    depth = np.where(
        rays[..., 2] < -1e-6, (-item.size[2] / 2 - eye[2]) / np.minimum(rays[..., 2], -1e-6), np.inf
    )
    points = eye + rays * np.where(np.isfinite(depth), depth, 0)[..., None]
    angle, reach = rng.uniform(0, np.pi), diagonal * rng.uniform(1.5, 8, 2)
    along = points[..., 0] * np.cos(angle) + points[..., 1] * np.sin(angle)
    across = points[..., 1] * np.cos(angle) - points[..., 0] * np.sin(angle)
    on_table = np.isfinite(depth) & (np.abs(along) < reach[0]) & (np.abs(across) < reach[1])
    top = decode_srgb(_table_top(rng))
    period = diagonal * rng.uniform(2, 6)
    table = cv2.remap(
        top,
        (along / period % 1 * top.shape[1]).astype(np.float32),
        (across / period % 1 * top.shape[0]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    dark = renderer.shadowed(points[::2, ::2].reshape(-1, 3), light.direction)
    lit = 1 - soften(dark.reshape(points[::2, ::2].shape[:2]), u.shape)[..., None]
    received = lit * max(light.direction[2], 0) * light.lamp + light.sky
    colour = np.where(on_table[..., None], table * received, colour).astype(np.float32)
    colour = cv2.GaussianBlur(colour, (0, 0), rng.uniform(0.3, 2.0))
    return colour, np.where(on_table, depth, 0).astype(np.float32)


def _table_top(rng: np.random.Generator) -> np.ndarray:
    """Wood-like streaks, cloth or a pattern, ``(512, 512, 3)`` uint8."""
    kind = rng.integers(4)
    if kind == 0:
        return random_pattern(rng, 512)
    noise = fractal_noise(rng, 512, 512, roughness=rng.uniform(0.4, 0.9))
    if kind == 1:  # the same noise drawn out in one direction
        noise = np.repeat(fractal_noise(rng, 512, 64, roughness=0.9), 8, axis=1)
    first, second = muted(random_colour(rng, (0.2, 1.0))), muted(random_colour(rng, (0.2, 1.0)))
    second = first + rng.uniform(0.1, 0.6) * (second - first)
    return (noise[..., None] * first + (1 - noise[..., None]) * second).astype(np.uint8)


def photo_like(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A generated background with a photograph's statistics: a gradient, noise of all scales, out-of-focus
    shapes of every size. ``(H, W, 3)`` uint8."""
    first, second = muted(random_colour(rng)), muted(random_colour(rng))
    share = np.linspace(0, 1, height)[:, None, None]
    picture = np.ascontiguousarray(
        np.broadcast_to((1 - share) * first + share * second, (height, width, 3))
    )
    for _ in range(rng.integers(3, 40)):
        centre = rng.uniform(0, [width, height])
        size = np.exp(rng.uniform(np.log(0.02), np.log(0.4))) * height * rng.uniform(0.3, 1.7, 2)
        colour = (random_colour(rng) if rng.random() < 0.3 else muted(random_colour(rng))).tolist()
        if rng.random() < 0.7:
            corners = cv2.boxPoints(
                (centre.tolist(), size.tolist(), float(rng.choice([0, 0, rng.uniform(0, 90)])))
            )
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        else:
            ellipse = (centre.tolist(), size.tolist(), float(rng.uniform(0, 180)))
            cv2.ellipse(picture, ellipse, colour, -1, cv2.LINE_AA)
    shade = 0.5 + fractal_noise(rng, height, width, roughness=rng.uniform(0.4, 0.8))
    picture = cv2.GaussianBlur(picture * shade[..., None], (0, 0), rng.uniform(0.5, 5))
    return np.clip(picture, 0, 255).astype(np.uint8)
