"""Rigid transforms to and from geometry messages; only here are quaternions (x, y, z, w)."""

import numpy as np
import torch
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import Header

from surfpose_ros.geometry.rotations import quaternion_from_rotation, rotation_from_quaternion


def quaternion_message(rotation: np.ndarray) -> Quaternion:
    """Quaternion of a rotation matrix ``(3, 3)``."""
    w, x, y, z = quaternion_from_rotation(torch.from_numpy(np.ascontiguousarray(rotation))).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_message(camera_from_object: np.ndarray) -> Pose:
    """Pose of an object in the camera frame, from a rigid ``(4, 4)``."""
    x, y, z = camera_from_object[:3, 3].tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=quaternion_message(camera_from_object[:3, :3]))


def transform_message(parent_from_child: np.ndarray, header: Header, child: str) -> TransformStamped:
    """Transform that places the frame `child` in the header's frame, from a rigid ``(4, 4)``."""
    x, y, z = parent_from_child[:3, 3].tolist()
    rotation = quaternion_message(parent_from_child[:3, :3])
    transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation)
    return TransformStamped(header=header, child_frame_id=child, transform=transform)


def matrix_from_pose(pose: Pose) -> np.ndarray:
    """Rigid ``(4, 4)`` float64 of a pose."""
    p, q = pose.position, pose.orientation
    return _matrix((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def matrix_from_transform(transform: Transform) -> np.ndarray:
    """Rigid ``(4, 4)`` float64 of a transform, ``parent_from_child``."""
    p, q = transform.translation, transform.rotation
    return _matrix((p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def _matrix(translation: tuple[float, ...], wxyz: tuple[float, ...]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion(torch.tensor(wxyz, dtype=torch.float64)).numpy()
    matrix[:3, 3] = translation
    return matrix


def seconds(stamp: Time) -> float:
    """A stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def stamp_message(nanoseconds: int) -> Time:
    """A stamp of whole nanoseconds."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
