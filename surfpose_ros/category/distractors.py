"""Pictures of things that belong to no category: what stands beside and before the object in training.

Each is a few primitives stuck together, shaded and patterned. Without them a model takes whatever looks
like one solid thing for its object.
"""

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from scipy.spatial.transform import Rotation
from torch import Tensor

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import RayCaster

SIDE = 128  # pixels of a picture
COUNT = 128
DISTANCE = 4.0  # of the camera, in half sides of the shapes
AMBIENT = 0.45


@dataclass(frozen=True)
class Distractors:
    """Cut-out pictures.

    Attributes:
        images: RGB, ``(N, 3, SIDE, SIDE)`` uint8.
        masks: 255 on the thing, ``(N, 1, SIDE, SIDE)`` uint8.
    """

    images: Tensor
    masks: Tensor


def make_distractors(seed: int, count: int = COUNT) -> Distractors:
    """Draw `count` things; the same ones for the same seed."""
    random = np.random.default_rng([seed, 77])
    drawn = [_draw(random) for _ in range(count)]
    images = torch.from_numpy(np.stack([image for image, _ in drawn])).permute(0, 3, 1, 2).contiguous()
    return Distractors(images, torch.from_numpy(np.stack([mask for _, mask in drawn]))[:, None])


def _draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One thing from one side: ``(SIDE, SIDE, 3)`` and its mask ``(SIDE, SIDE)``, both uint8."""
    parts = [_part(random) for _ in range(random.integers(1, 5))]
    joined = trimesh.util.concatenate(parts)
    joined.apply_translation(-joined.bounds.mean(axis=0))
    joined.apply_scale(1.6 / joined.extents.max())
    mesh = Mesh(joined.vertices.astype(np.float32), joined.faces.astype(np.int64))
    part_of_face = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    pose = np.eye(4)
    pose[:3, :3], pose[2, 3] = Rotation.random(random_state=random).as_matrix(), DISTANCE
    middle = (SIDE - 1) / 2
    focal = 0.5 * SIDE * DISTANCE / 1.2
    camera = Camera(np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]]), SIDE, SIDE)
    points, faces = RayCaster(mesh).surface_map(pose, camera)
    shown = faces >= 0
    light = random.normal(size=3)
    normals = np.asarray(joined.face_normals)[faces[shown]]
    shade = AMBIENT + (1 - AMBIENT) * np.abs(normals @ (light / np.linalg.norm(light)))
    colours = np.zeros((shown.sum(), 3))
    for part in range(len(parts)):
        here = part_of_face[faces[shown]] == part
        colours[here] = _pattern(points[shown][here], random)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[shown] = np.clip(255 * colours * shade[:, None], 0, 255).astype(np.uint8)
    return image, shown.astype(np.uint8) * 255


def _part(random: np.random.Generator) -> trimesh.Trimesh:
    """A primitive of random proportions somewhere near the origin, as often as not standing upright."""
    kind = random.choice(["box", "ball", "cylinder", "cone", "ring", "pill"])
    thin = random.uniform(0.15, 0.6)
    part = {
        "box": lambda: trimesh.creation.box((1, 1, 1)),
        "ball": lambda: trimesh.creation.icosphere(3, 0.5),
        "cylinder": lambda: trimesh.creation.cylinder(thin, 1),
        "cone": lambda: trimesh.creation.cone(thin, 1),
        "ring": lambda: trimesh.creation.torus(0.4, 0.4 * thin),
        "pill": lambda: trimesh.creation.capsule(1, 0.5 * thin),
    }[kind]()
    part.apply_scale(random.uniform(0.4, 1.2, size=3))
    if random.random() < 0.5:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.random(random_state=random).as_matrix()
        part.apply_transform(turn)
    part.apply_translation(random.uniform(-0.4, 0.4, size=3))
    return part


def _pattern(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Colours ``(N, 3)`` of surface points: plain, striped or chequered."""
    grey, strong = random.uniform(0.05, 1.0, size=(2, 1)), random.uniform(size=(2, 1))
    first, second = grey + strong * (random.uniform(size=(2, 3)) - grey)
    kind = random.choice(["plain", "stripes", "checks"], p=[0.6, 0.2, 0.2])
    if kind == "plain":
        return np.broadcast_to(first, points.shape)
    cells = np.floor(points * random.uniform(3, 12) + 0.5).astype(int)
    odd = (cells[:, 2] if kind == "stripes" else cells.sum(axis=1)) % 2 == 1
    return np.where(odd[:, None], first, second)
