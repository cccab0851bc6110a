"""Surface features F: for every vertex, what a frozen backbone says of it in the views that see it best."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import Visibility, visibility_of
from surfpose_ros.progress import Progress, silent
from surfpose_ros.video.object_video import Frame

CPU_BATCH, GPU_BATCH = 8, 48  # crops that the backbone sees at once
MARGIN = 0.1


def view_features(
    mesh: Mesh,
    frames: list[Frame],
    poses: np.ndarray,
    backbone: Backbone,
    image_size: int,
    views_kept: int,
    visibility: str = "auto",
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """The features of each vertex in the views that see it most squarely.

    Each object is cropped square around its mask and resized to `image_size`. A vertex's feature is the
    bilinear sample of the map at its projection, unit length.

    Args:
        mesh: in the video's frame.
        frames: with images and masks.
        poses: camera_from_video of each frame, ``(N, 4, 4)``.
        backbone: frozen.
        image_size: side of the crop that the backbone sees, pixels.
        views_kept: K, at most so many features a vertex.
        visibility: a backend (see `visibility_of`); a GPU one runs beside the backbone.
        progress: told of each frame.

    Returns:
        Features ``(V, K, D)`` float16 and which of them are there, ``(V, K)`` bool, best view first.
    """
    count = len(mesh.vertices)
    device = str(next(backbone.parameters()).device)
    squareness = vertex_squareness(visibility_of(mesh, visibility, device), frames, poses)
    order = np.argsort(-squareness, axis=0, kind="stable")[:views_kept]
    valid = np.take_along_axis(squareness, order, axis=0) > 0
    slot = np.full(squareness.shape, -1)
    np.put_along_axis(slot, order, np.where(valid, np.arange(len(order))[:, None], -1), axis=0)
    # On the backbone's device, from which they come back in one go.
    features = torch.zeros(count, views_kept, backbone.dimension, dtype=torch.float16, device=device)
    kept = np.zeros((count, views_kept), bool)
    for index, (descriptors, camera) in enumerate(_descriptor_maps(frames, backbone, image_size)):
        vertices = np.flatnonzero(slot[index] >= 0)
        place = vertices, slot[index, vertices]
        sampled = sample_descriptors(descriptors, mesh.vertices[vertices], poses[index], camera)
        features[tuple(torch.from_numpy(part).to(device) for part in place)] = sampled.half()
        kept[place] = True
        progress("features", index + 1, len(frames))
    return features.cpu().numpy(), kept


def vertex_squareness(visibility: Visibility, frames: list[Frame], poses: np.ndarray) -> np.ndarray:
    """Cosine between each vertex's normal and the direction to each camera, 0 where hidden, ``(N, V)``."""
    visible = visibility.visible_in_views(poses, [frame.camera for frame in frames])
    centres = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
    toward = centres[:, None] - visibility.mesh.vertices
    toward /= np.linalg.norm(toward, axis=2, keepdims=True)
    # A vertex that is seen while its mean normal looks away still counts, a little.
    cosine = np.maximum(np.einsum("vj,nvj->nv", visibility.mesh.normals, toward), 1e-3)
    return np.where(visible, cosine, 0.0)


def sample_descriptors(descriptors: Tensor, points: np.ndarray, pose: np.ndarray, camera: Camera) -> Tensor:
    """Unit features ``(P, D)`` of a crop's map ``(D, h, w)`` where points ``(P, 3)`` project.

    Cell i of a map of stride s shows ``s i`` to ``s i + s - 1``; its centre is ``s (i + 0.5) - 0.5``
    """
    in_camera = points @ pose[:3, :3].T + pose[:3, 3]
    pixels = in_camera @ camera.matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    grid = (2 * pixels + 1) / np.array([camera.width, camera.height]) - 1
    grid_tensor = torch.as_tensor(grid, dtype=torch.float32, device=descriptors.device)
    sampled = torch.nn.functional.grid_sample(
        descriptors[None].float(), grid_tensor[None, None], padding_mode="border", align_corners=False
    )
    return torch.nn.functional.normalize(sampled[0, :, 0].T, dim=1)


def _descriptor_maps(frames: list[Frame], backbone: Backbone, size: int) -> Iterator[tuple[Tensor, Camera]]:
    """Of each frame the map ``(D, h, w)`` of its crop, and the crop's camera."""
    device = next(backbone.parameters()).device
    batch = GPU_BATCH if device.type == "cuda" else CPU_BATCH
    for start in range(0, len(frames), batch):
        crops, cameras = zip(*(_crop(frame, size) for frame in frames[start : start + batch]), strict=True)
        images = torch.from_numpy(np.stack(crops)).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode(), torch.autocast(device.type, enabled=device.type == "cuda"):
            yield from zip(backbone(images), cameras, strict=True)


def _crop(frame: Frame, size: int) -> tuple[np.ndarray, Camera]:
    """The object's square crop ``(size, size, 3)`` and its camera; beyond the frame its border goes on."""
    if frame.mask is None:
        raise ValueError(f"frame {frame.name} has no mask")
    x, y, width, height = cv2.boundingRect(frame.mask.astype(np.uint8))
    side = max(width, height) * (1 + 2 * MARGIN)
    left, top, scale = x + width / 2 - side / 2, y + height / 2 - side / 2, size / side
    # Affine map from crop pixels to frame pixels, pixel centres at whole numbers.
    matrix = np.array([[1 / scale, 0, left + 0.5 / scale - 0.5], [0, 1 / scale, top + 0.5 / scale - 0.5]])
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA)
    crop = cv2.warpAffine(frame.image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return crop, frame.camera.cropped(left, top, size, size, scale)
