"""GrabCut's masks a second time, seeded by the mesh that the first ones give.

What some views get wrong, such as a shadow or a part of the table, the others outvote.
"""

from dataclasses import replace

import cv2
import numpy as np

from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.surface.surface import Surface
from surfpose_ros.video.masks import clean_mask
from surfpose_ros.video.object_video import Frame, ObjectVideo
from surfpose_ros.video.segment import masks_from_silhouettes

# Side in pixels of the square crops that GrabCut works on, and how much larger than the object they are.
SIZE, SPAN = 160, 1.8
# Where masks come from that are worth a second try.
DOUBTFUL = ("grabcut",)


def with_surface_masks(video: ObjectVideo, surface: Surface) -> ObjectVideo:
    """The video with masks seeded by its surface, where its own are doubtful."""
    if video.mask_source not in DOUBTFUL:
        return video
    poses = {view.frame: view.camera_from_video for view in surface.views}
    used = [frame for frame in video.frames if frame.name in poses]
    better = remasked(used, surface.mesh, np.array([poses[frame.name] for frame in used]))
    renewed = {frame.name: frame for frame in better}
    return replace(video, frames=[renewed.get(frame.name, frame) for frame in video.frames])


def remasked(frames: list[Frame], mesh: Mesh, poses: np.ndarray) -> list[Frame]:
    """The frames with masks by GrabCut about the mesh's silhouettes.

    Args:
        frames: pictures.
        mesh: of the object in the video's frame, as good as the present masks give it.
        poses: camera_from_video of each frame, ``(N, 4, 4)``.
    """
    caster = RayCaster(mesh)
    crops, silhouettes, places = [], [], []
    for frame, pose in zip(frames, poses, strict=True):
        camera, frame_from_crop = _crop_camera(mesh, pose, frame.camera)
        shrinking = frame_from_crop[0, 0] > 1
        flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
        places.append(frame_from_crop)
        crops.append(
            cv2.warpAffine(
                frame.image, frame_from_crop, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        )
        silhouettes.append(caster.silhouette(pose, camera))
    found = masks_from_silhouettes(np.stack(crops), np.stack(silhouettes))
    return [
        replace(frame, mask=_in_frame(mask, place, frame.camera))
        for frame, mask, place in zip(frames, found, places, strict=True)
    ]


def _crop_camera(mesh: Mesh, pose: np.ndarray, camera: Camera) -> tuple[Camera, np.ndarray]:
    """The camera of the square round the mesh, and frame_from_crop ``(2, 3)`` in pixels."""
    in_camera = mesh.vertices @ pose[:3, :3].T + pose[:3, 3]
    pixels = in_camera @ camera.matrix.T
    pixels = pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    side = SPAN * max(float((high - low).max()), 1.0)
    left, top = (low + high - side) / 2 + 0.5
    step = side / SIZE
    frame_from_crop = np.array([[step, 0, left + 0.5 * step - 0.5], [0, step, top + 0.5 * step - 0.5]])
    return camera.cropped(left, top, SIZE, SIZE, 1 / step), frame_from_crop


def _in_frame(mask: np.ndarray, frame_from_crop: np.ndarray, camera: Camera) -> np.ndarray:
    """A crop's mask in its frame, ``(H, W)`` bool."""
    size = (camera.width, camera.height)
    large = cv2.warpAffine(mask.astype(np.float32), frame_from_crop, size, flags=cv2.INTER_LINEAR)
    return clean_mask(large > 0.5)
