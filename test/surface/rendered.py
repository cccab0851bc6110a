"""Rendered object videos with known shape and cameras."""

import numpy as np
import torch

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.rotations import camera_from_object_views
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.video.object_video import Frame, ObjectVideo

DISTANCE = 4.0


def ring_poses(azimuths: int, elevations_deg: list[float]) -> list[np.ndarray]:
    """Cameras that look at the origin, `azimuths` round the object at each elevation."""
    poses = []
    for elevation in elevations_deg:
        for index in range(azimuths):
            angles = torch.tensor([2 * np.pi * index / azimuths, np.radians(elevation), 0.0]).double()
            pose = np.eye(4)
            pose[:3, :3] = camera_from_object_views(*angles).numpy()
            pose[2, 3] = DISTANCE
            poses.append(pose)
    return poses


def render_video(mesh: Mesh, poses: list[np.ndarray], size: int = 120, **fields) -> ObjectVideo:
    """Frames whose colour is the surface point's position."""
    camera = Camera(np.array([[400.0, 0, 59.5], [0, 400.0, 59.5], [0, 0, 1]]), size, size)
    caster = RayCaster(mesh)
    frames = []
    for index, pose in enumerate(poses):
        points, faces = caster.surface_map(pose, camera)
        image = np.clip(128 + 120 * points, 0, 255).astype(np.uint8)
        frames.append(Frame(f"{index:03d}", index / 10, image, camera, faces >= 0, pose))
    return ObjectVideo("thing_01", "thing", frames, pose_source="dataset", **fields)
