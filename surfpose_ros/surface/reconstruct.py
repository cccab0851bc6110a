"""An object video to its surface: visual hull from masks and cameras, then features on its vertices."""

from dataclasses import dataclass, replace

import numpy as np

from surfpose_ros.backbones.interface import Backbone
from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.meshes import Mesh
from surfpose_ros.geometry.visibility import BACKENDS
from surfpose_ros.progress import Progress, silent
from surfpose_ros.surface.alpha_shape import alpha_mesh
from surfpose_ros.surface.depth_fusion import depth_mesh, has_depth
from surfpose_ros.surface.features import view_features
from surfpose_ros.surface.grade import grade_capture
from surfpose_ros.surface.hull import VoteField, best_level, bounding_cube, carve
from surfpose_ros.surface.meshing import coarse_mesh, mesh_problems
from surfpose_ros.surface.remask import DOUBTFUL, remasked
from surfpose_ros.surface.silhouettes import SilhouetteViews, silhouette_views
from surfpose_ros.surface.surface import Surface, SurfaceView
from surfpose_ros.surface.up import up_from_cameras
from surfpose_ros.surface.view_fit import fit_translations
from surfpose_ros.video.object_video import Frame, ObjectVideo

MIN_VIEWS = 6
SHAPES = ("auto", "hull", "alpha", "depth")


@dataclass(frozen=True)
class ReconstructSettings:
    """How surfaces are made.

    Attributes:
        max_vertices: of the coarse mesh.
        resolution: of the finest carving grid, points along the object's longest side.
        image_size: side of the object's crop that the backbone sees, pixels.
        views_kept: K, features a vertex keeps. Sixteen of the squarest views: the mean over them was
            within noise of the mean over all, and 500 vertices stay at a few megabytes.
        shape: hull of the silhouettes; alpha, the skin of the points that structure from motion found;
            depth, fused depth images within the hull; auto takes depth where there is some, else the hull.
        visibility: what finds the vertices that a view sees; see `visibility_of`.
    """

    max_vertices: int = 500
    resolution: int = 160
    image_size: int = 448
    views_kept: int = 16
    shape: str = "auto"
    visibility: str = "auto"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise SurfposeError(f"shape {self.shape!r}: it must be one of {', '.join(SHAPES)}")
        if self.visibility not in BACKENDS:
            raise SurfposeError(f"visibility {self.visibility!r}: it must be one of {', '.join(BACKENDS)}")


def reconstruct(
    video: ObjectVideo,
    backbone: Backbone,
    settings: ReconstructSettings | None = None,
    progress: Progress = silent,
) -> Surface:
    """The surface of one video.

    Args:
        video: with masks and camera poses.
        backbone: for the features; the hull is carved on its device too.
        settings: sizes; the defaults serve.
        progress: told of the features of each frame.

    Raises:
        SurfposeError: too few frames with mask and pose, or a recording too bad to use, with what to
            record differently.
    """
    settings = settings or ReconstructSettings()
    device = str(next(backbone.parameters()).device)
    frames = usable_frames(video)
    views, field, level, overlap = _hull(frames, video, settings.resolution, device)
    if video.mask_source in DOUBTFUL:
        better = remasked(frames, field.mesh(level), views.camera_from_video)
        frames = usable_frames(replace(video, frames=better))
        views, field, level, overlap = _hull(frames, video, settings.resolution, device)
    poses = views.camera_from_video
    dense, shape = _dense_mesh(settings.shape, field, level, video, frames, poses)
    grade = grade_capture(frames, poses, dense.vertices.mean(axis=0), video.up, overlap)
    if grade.mark == "F":
        raise SurfposeError(f"{video.name}: {grade}; to get a surface, {'; '.join(grade.advice)}")
    mesh = coarse_mesh(dense, settings.max_vertices)
    features, valid = view_features(
        mesh,
        frames,
        poses,
        backbone,
        settings.image_size,
        settings.views_kept,
        settings.visibility,
        progress,
    )
    up, sigma = _up(video, poses)
    return Surface(
        name=video.name,
        category=video.category,
        backbone=backbone.name,
        mesh=mesh,
        features=features,
        feature_valid=valid,
        views=[
            SurfaceView(frame.name, frame.camera, pose) for frame, pose in zip(frames, poses, strict=True)
        ],
        metric=video.metric,
        up=up,
        up_sigma_deg=sigma,
        notes=(str(grade), *grade.advice, *mesh_problems(mesh), f"shape: {shape}", *video.notes),
    )


def usable_frames(video: ObjectVideo) -> list[Frame]:
    """The frames with a pose and a mask that is neither empty nor full.

    Raises:
        SurfposeError: too few of them.
    """
    if not any(frame.camera_from_video is not None for frame in video.frames):
        tried = next((note for note in video.notes if note.startswith("poses: ")), "poses: none")
        raise SurfposeError(
            f"{video.name}: no camera poses ({tried}); record TF or the turntable's joint_states with the "
            'bag, put a board under the object, or install "surfpose_ros[sfm]" and use --poses sfm'
        )
    posed = [frame for frame in video.frames if frame.camera_from_video is not None]
    if all(frame.mask is None for frame in posed):
        raise SurfposeError(
            f"{video.name}: no masks; record a mask topic, or a few pictures of the empty scene on a "
            "background topic"
        )
    usable = [frame for frame in posed if frame.mask is not None and 0.0005 < frame.mask.mean() < 0.95]
    if len(usable) < MIN_VIEWS:
        raise SurfposeError(
            f"{video.name}: only {len(usable)} of {len(posed)} frames have a mask with an object in it, "
            f"and {MIN_VIEWS} are needed; check the mask topic or record more views"
        )
    return usable


def _hull(
    frames: list[Frame], video: ObjectVideo, resolution: int, device: str
) -> tuple[SilhouetteViews, VoteField, float, float]:
    """The silhouettes with their poses, and what `hull_field` makes of them."""
    views = silhouette_views(frames, size=256)
    if not video.poses_exact:
        views = views.moved(fit_translations(views.reduced(2), device=device).camera_from_video)
    return views, *hull_field(views, resolution, video, device)


def hull_field(
    views: SilhouetteViews, resolution: int, video: ObjectVideo, device: str = "cpu"
) -> tuple[VoteField, float, float]:
    """The hull's votes, their best level, and its mean silhouette overlap.

    A coarse grid finds the box, a fine one the shape.
    """
    centre, half = bounding_cube(views)
    small = views.reduced(2)
    coarse = carve(views.reduced(4), centre - half, centre + half, 40, 1.0, device)
    level, _ = best_level(coarse, views.reduced(4), steps=6, device=device)
    vertices = coarse.mesh(level).vertices
    margin = 2 * coarse.spacing
    low, high = vertices.min(axis=0) - margin, vertices.max(axis=0) + margin
    fine = carve(views, low, high, resolution, 1.0, device)
    if video.up is not None and video.floor is not None:
        fine = fine.above(video.up, video.floor)
    lowest, highest = max(level - 0.15, 0.4), min(level + 0.15, 0.99)
    level, overlap = best_level(fine, small, lowest, highest, device=device)
    return fine, level, overlap


def _dense_mesh(
    shape: str, field: VoteField, level: float, video: ObjectVideo, frames: list[Frame], poses: np.ndarray
) -> tuple[Mesh, str]:
    """The mesh before it is made coarse, and where it came from."""
    if shape == "depth" and not has_depth(video):
        raise SurfposeError(
            f"{video.name}: --shape depth needs depth images registered to the camera's, and poses in "
            "metres (tf, turntable or board); record them, or use --shape hull"
        )
    if shape == "depth" or (shape == "auto" and has_depth(video)):
        return depth_mesh(frames, poses, field, level), "depth"
    if shape == "alpha":
        if video.cloud is None:
            raise SurfposeError(f"{video.name}: --shape alpha needs the points of --poses sfm")
        return alpha_mesh(video.cloud), "alpha shape"
    return field.mesh(level), "hull"


def _up(video: ObjectVideo, poses: np.ndarray) -> tuple[np.ndarray | None, float | None]:
    if video.up is not None:
        return video.up, 0.5
    return up_from_cameras(poses) or (None, None)
