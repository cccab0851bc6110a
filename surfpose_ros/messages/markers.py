"""Markers for RViz and Foxglove: the template's mesh at the pose, its axes and its name.

The mesh travels inside the marker, so that no file path has to hold on the machine that looks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.messages.poses import pose_message
from surfpose_ros.pose.tracking import TrackedObject

AXIS_COLOURS = (
    ColorRGBA(r=0.9, g=0.1, b=0.1, a=1.0),
    ColorRGBA(r=0.1, g=0.8, b=0.1, a=1.0),
    ColorRGBA(r=0.1, g=0.3, b=1.0, a=1.0),
)
_MESH_COLOUR = ColorRGBA(r=0.95, g=0.75, b=0.2, a=0.55)
_TEXT_COLOUR = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)


def mesh_points(mesh: Mesh) -> list[Point]:
    """Corners of all triangles, in order, scaled to a unit diagonal: make them once a model."""
    corners = mesh.vertices[mesh.faces].reshape(-1, 3).astype(np.float64) / mesh.diagonal
    return [Point(x=x, y=y, z=z) for x, y, z in corners.tolist()]


def marker_array(
    objects: Sequence[TrackedObject], meshes: Mapping[str, list[Point]], header: Header, lifetime_s: float
) -> MarkerArray:
    """Markers of all objects, after one that clears those of the image before.

    Args:
        objects: what was seen.
        meshes: `mesh_points` of each category.
        header: of the image.
        lifetime_s: how long they stay should no further message come.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    duration = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    for number, item in enumerate(objects):
        points = meshes.get(item.detection.category, [])
        for marker in (_mesh(item, points), _axes(item), _name(item)):
            marker.header, marker.lifetime, marker.id = header, duration, number
            markers.append(marker)
    return MarkerArray(markers=markers)


def _mesh(item: TrackedObject, points: list[Point]) -> Marker:
    diagonal = float(np.linalg.norm(item.detection.size))
    return Marker(
        ns="mesh",
        type=Marker.TRIANGLE_LIST,
        pose=pose_message(item.detection.hypotheses[0].camera_from_object),
        scale=Vector3(x=diagonal, y=diagonal, z=diagonal),
        color=_MESH_COLOUR,
        points=points,
    )


def _axes(item: TrackedObject) -> Marker:
    length = float(np.linalg.norm(item.detection.size)) / 2
    tips = (Point(x=length), Point(y=length), Point(z=length))
    return Marker(
        ns="axes",
        type=Marker.LINE_LIST,
        pose=pose_message(item.detection.hypotheses[0].camera_from_object),
        scale=Vector3(x=length / 15),
        points=[point for tip in tips for point in (Point(), tip)],
        colors=[colour for colour in AXIS_COLOURS for _ in range(2)],
    )


def _name(item: TrackedObject) -> Marker:
    pose = pose_message(item.detection.hypotheses[0].camera_from_object)
    height = float(np.linalg.norm(item.detection.size))
    pose.position.y -= 0.7 * height  # above the object in an upright camera's picture
    text = f"{item.name} {item.detection.score:.0%}"
    return Marker(ns="name", type=Marker.TEXT_VIEW_FACING, pose=pose, scale=Vector3(z=height / 6),
                  color=_TEXT_COLOUR, text=text)  # fmt: skip
