"""Small real bags for tests: a box on a turntable, seen by a still camera."""

from pathlib import Path

import numpy as np
import torch
import trimesh

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh, mesh_from_trimesh
from surfpose_ros.geometry.rotations import camera_from_object_views, rotation_from_rotvec
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.capture import CaptureInfo

CAMERA = Camera(np.array([[150.0, 0, 47.5], [0, 150.0, 35.5], [0, 0, 1]]), 96, 72)
IMAGE, INFO, MASK = "/camera/image/compressed", "/camera/camera_info", "/camera/mask/compressed"


def brick() -> Mesh:
    """0.2 x 0.1 x 0.08 m, standing on z = 0, 2 cm off the axis."""
    box = trimesh.creation.box([0.2, 0.1, 0.08])
    box.apply_translation([0.02, 0.0, 0.04])
    return mesh_from_trimesh(box)


def camera_from_base() -> np.ndarray:
    pose = np.eye(4)
    angles = torch.tensor([0.3, np.radians(30), 0.0]).double()
    pose[:3, :3] = camera_from_object_views(*angles).numpy()
    pose[2, 3] = 0.6
    return pose


def turned(angle: float) -> np.ndarray:
    base_from_disc = np.eye(4)
    base_from_disc[:3, :3] = rotation_from_rotvec(torch.tensor([0.0, 0.0, angle]).double()).numpy()
    return base_from_disc


def picture(mesh: Mesh | None, camera_from_mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGB and mask: a bright object before a dark gradient."""
    rows = np.linspace(20, 60, CAMERA.height, dtype=np.uint8)[:, None, None]
    image = np.broadcast_to(rows, (CAMERA.height, CAMERA.width, 3)).copy()
    mask = np.zeros(image.shape[:2], bool)
    if mesh is not None:
        points, faces = RayCaster(mesh).surface_map(camera_from_mesh, CAMERA)
        mask = faces >= 0
        image[mask] = np.clip(150 + 600 * points[mask], 90, 255).astype(np.uint8)
    return image, mask


def write_turntable(folder: Path, frames: int = 24, background: bool = True, **skip: bool) -> Path:
    """A capture as capture_node records it; `skip` leaves out camera_info, joint or tf."""
    with CaptureWriter(folder, CaptureInfo("brick")) as writer:
        if not skip.get("tf"):
            writer.write_transform(
                "/tf_static", "turntable_base", "camera", np.linalg.inv(camera_from_base()), 10**9
            )
        if background:
            empty, _ = picture(None, np.eye(4))
            writer.write_picture("/camera/background/compressed", empty, 10**9, "camera", codec="png")
        for index in range(frames):
            stamp = 2 * 10**9 + index * 10**8
            angle = 2 * np.pi * index / frames
            image, _ = picture(brick(), camera_from_base() @ turned(angle))
            writer.write_picture(IMAGE, image, stamp, "camera", codec="png")
            if not skip.get("camera_info"):
                writer.write_camera_info(INFO, CAMERA, stamp, "camera")
            if not skip.get("joint"):
                # The joint is published at its own times, wrapped to one turn.
                for offset in (-3 * 10**7, 4 * 10**7):
                    before = angle + offset / 10**8 * 2 * np.pi / frames
                    writer.write_joint(
                        "/joint_states", "turntable_joint", before % (2 * np.pi), stamp + offset
                    )
    return folder
