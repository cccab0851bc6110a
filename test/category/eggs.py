"""A small category that needs no data: ellipsoids seen by known cameras."""

from dataclasses import replace

import numpy as np
import torch
import trimesh

from surfpose_ros.alignment.alignment import Alignment
from surfpose_ros.category.augment import Augmentation
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.train import train_category
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.surface import Surface, SurfaceView
from surfpose_ros.video.object_video import Frame, ObjectVideo

TINY = TrainSettings(
    steps=2, batch=4, input_size=64, vertices=60, augmentation=Augmentation(occlude=0.5, patches=0.0)
)


def ellipsoid(extent: tuple[float, float, float]) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.vertices *= np.array(extent) / 2
    return mesh_from_trimesh(ball)


def ellipsoid_video(
    name: str, extent: tuple[float, float, float], views: int = 6
) -> tuple[ObjectVideo, Surface]:
    mesh = ellipsoid(extent)
    camera = Camera(np.array([[200.0, 0, 79.5], [0, 200.0, 59.5], [0, 0, 1]]), 160, 120)
    caster = RayCaster(mesh)
    frames, seen = [], []
    for index in range(views):
        azimuth = torch.tensor(2 * np.pi * index / views)
        pose = np.eye(4)
        pose[:3, :3] = camera_from_object_views(azimuth, torch.tensor(0.4), torch.tensor(0.0)).numpy()
        pose[2, 3] = 2.5
        points, faces = caster.surface_map(pose, camera)
        image = (255 * (points / np.array(extent) + 0.5)).clip(0, 255).astype(np.uint8)
        frames.append(Frame(str(index), float(index), image, camera, faces >= 0, pose))
        seen.append(SurfaceView(str(index), camera, pose))
    features = np.zeros((len(mesh.vertices), 1, 4), np.float16)
    valid = np.ones((len(mesh.vertices), 1), bool)
    surface = Surface(name, "egg", "mobilenet_v2", mesh, features, valid, seen, metric=True)
    return ObjectVideo(name, "egg", frames, "dataset", metric=True), surface


def learnt_weights(share: Share, rates: float = 1.0) -> np.ndarray:
    """All weights of the head, the vertices and the clutter after a few steps; rates multiplied.

    Every picture shows all of its object, so that a share of a batch has about as many cells of it as
    the other: the loss is their mean.
    """
    made = [ellipsoid_video("long", (1.0, 0.5, 0.4)), ellipsoid_video("short", (0.9, 0.6, 0.4))]
    surfaces = {surface.name: surface for _, surface in made}
    transforms = {name: np.diag([1 / s.mesh.diagonal] * 3 + [1.0]) for name, s in surfaces.items()}
    alignment = Alignment("egg", transforms, {"long": 1.0, "short": 1.0}, axes={"up": "known"})
    settings = replace(
        TINY,
        steps=8,
        batch=8,
        augmentation=Augmentation(occlude=0.0, patches=0.0, absent=0.0, cut=0.0, far=0.0),
        head_rate=rates * TINY.head_rate,
        vertex_rate=rates * TINY.vertex_rate,
        backbone_rate=rates * TINY.backbone_rate,
    )
    videos = [video for video, _ in made]
    model, _ = train_category(videos, surfaces, alignment, settings, torch.device("cpu"), share=share)
    weights = [*model.network.head.parameters(), model.vertex_features, model.clutter_features]
    return torch.cat([weight.detach().flatten() for weight in weights]).numpy()
