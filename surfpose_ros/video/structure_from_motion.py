"""Camera poses by structure from motion (pycolmap) from the object's own texture.

Only features inside the masks count: behind a turntable the room stands still, and would say that the
camera does not move. Each object is cropped and brought to one size first, so small ones have features too.
"""

import importlib.util
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from surfpose_ros.errors import MissingExtraError, SurfposeError
from surfpose_ros.video.object_video import Frame
from surfpose_ros.video.pair_chain import pairs_of_chain
from surfpose_ros.video.poses import PoseTrack

# Side of the crops in pixels, the object's margin in it, and how far its outline is cut away: features
# across the outline belong to the background as well.
CROP_SIZE, MARGIN, OUTLINE = 512, 0.05, 2
# The object's features in a picture: median below which no attempt is worth its time, and the most that
# are used (time grows with them). Weaker ones than SIFT's default still match on faint texture.
MIN_FEATURES, MAX_FEATURES, PEAK = 30, 1200, 0.004
# Pixels of a frame by which a feature may miss its epipolar line, and its point's projection.
MAX_ERROR, MAX_POSE_ERROR = 1.5, 4.0
# Method of the clean-up: points within the masks in this share of the frames, so many at most.
INSIDE, MAX_POINTS = 0.6, 20_000


def sfm_available() -> bool:
    """Whether pycolmap is installed."""
    return importlib.util.find_spec("pycolmap") is not None


def sfm_poses(frames: list[Frame], where: str, seed: int = 0) -> PoseTrack:
    """Poses up to a similarity: the cloud's middle is the origin, its extent 1.

    Args:
        frames: with masks; those without one get no pose.
        where: names the capture in errors.
        seed: of RANSAC; equal seeds give equal poses.

    Raises:
        MissingExtraError: pycolmap is not installed.
        SurfposeError: no masks, or too little texture.
    """
    if not sfm_available():
        raise MissingExtraError("pycolmap", extra="sfm", purpose="poses by structure from motion")
    if all(frame.mask is None or not frame.mask.any() for frame in frames):
        raise SurfposeError(
            f"{where}: structure from motion needs masks, to tell the object from the room behind it; "
            "record a mask topic or pictures of the empty scene, or choose --masks grabcut"
        )
    with tempfile.TemporaryDirectory(prefix="surfpose-sfm-") as folder:
        model = _largest_model(frames, Path(folder), where, seed)
    poses: list[np.ndarray | None] = [None] * len(frames)
    for image in model.images.values():
        if image.has_pose:
            poses[int(image.name[:4])] = np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])
    points = np.array([point.xyz for point in model.points3D.values()]).reshape(-1, 3)
    cloud = clean_cloud(points, frames, poses)
    if len(cloud) < 4:
        raise SurfposeError(_too_little(where, f"only {len(cloud)} points of the object were found"))
    low, high = np.percentile(cloud, [2, 98], axis=0)
    middle, scale = (low + high) / 2, 1 / float(np.linalg.norm(high - low))
    poses = [None if pose is None else _moved(pose, middle, scale) for pose in poses]
    missing = "structure from motion found too few matches between their features and the others'"
    return PoseTrack("sfm", poses, missing, cloud=((cloud - middle) * scale).astype(np.float32))


def clean_cloud(points: np.ndarray, frames: list[Frame], poses: list[np.ndarray | None]) -> np.ndarray:
    """The points ``(P, 3)`` in front of all cameras and inside most masks (the paper's clean-up).

    Args:
        points: in the frame of the poses.
        frames: with masks where `poses` has a pose.
        poses: camera_from_video ``(4, 4)`` a frame; None where it is not known.
    """
    inside = np.zeros(len(points))
    ahead = np.ones(len(points), bool)
    count = 0
    for frame, pose in zip(frames, poses, strict=True):
        if pose is None or frame.mask is None:
            continue
        in_camera = points @ pose[:3, :3].T + pose[:3, 3]
        ahead &= in_camera[:, 2] > 0
        pixels = in_camera @ frame.camera.matrix.T
        u, v = np.round(pixels[:, :2] / np.maximum(pixels[:, 2:], 1e-9)).T
        seen = (u >= 0) & (v >= 0) & (u < frame.camera.width) & (v < frame.camera.height)
        inside[seen] += frame.mask[v[seen].astype(int), u[seen].astype(int)]
        count += 1
    kept = points[ahead & (inside > INSIDE * count)]
    return kept[np.linspace(0, len(kept) - 1, min(len(kept), MAX_POINTS)).astype(int)]


def _largest_model(frames: list[Frame], folder: Path, where: str, seed: int) -> Any:
    """The reconstruction with the most frames; its images are called after the frames' numbers."""
    import pycolmap

    quiet, pycolmap.logging.minloglevel = pycolmap.logging.minloglevel, 3
    try:
        database = folder / "features.db"
        images, placements = _write_crops(frames, folder)
        mode = pycolmap.CameraMode.PER_IMAGE
        reading = pycolmap.ImageReaderOptions()
        reading.camera_model = "PINHOLE"
        reading.camera_params = "1,1,0,0"  # the true ones follow
        reading.mask_path = str(folder / "masks")
        # First, or images would be numbered as their features get ready, and results vary.
        pycolmap.Database.open(database).close()
        pycolmap.import_images(database, images, camera_mode=mode, options=reading)
        extraction = pycolmap.FeatureExtractionOptions()
        extraction.use_gpu = False
        extraction.sift.peak_threshold = PEAK
        extraction.sift.max_num_features = MAX_FEATURES
        # Views may be 25 degrees apart: affine shapes and pooled scales match where plain SIFT does not.
        extraction.sift.estimate_affine_shape = extraction.sift.domain_size_pooling = True
        pycolmap.set_random_seed(seed)
        pycolmap.extract_features(
            database, images, camera_mode=mode, reader_options=reading, extraction_options=extraction
        )
        features = _to_full_frames(database, frames, placements)
        if features < MIN_FEATURES:
            raise SurfposeError(_too_little(where, f"{features:.0f} features on it in a picture"))
        matching = pycolmap.FeatureMatchingOptions()
        matching.use_gpu = False
        geometry = pycolmap.TwoViewGeometryOptions()
        geometry.detect_watermark = False  # which a crop with a bare border is taken for
        geometry.ransac.max_error, geometry.ransac.random_seed = MAX_ERROR, seed
        # What keeps its place in the picture of a turning mug is its rim, or a highlight.
        geometry.filter_stationary_matches = True
        geometry.compute_relative_pose = True
        pycolmap.match_exhaustive(database, matching_options=matching, verification_options=geometry)
        _drop_contradictions(database)
        models = pycolmap.incremental_mapping(
            database, images, folder / "models", options=_mapping_options(seed)
        )
    finally:
        pycolmap.logging.minloglevel = quiet
    if not models:
        raise SurfposeError(_too_little(where, "no two pictures have enough features in common"))
    return max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()))


def _mapping_options(seed: int) -> Any:
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = seed
    # Sums over several threads come in any order; one thread gives equal poses each time.
    options.num_threads = options.mapper.num_threads = 1
    options.ba_refine_focal_length = options.ba_refine_extra_params = False
    options.mapper.abs_pose_refine_focal_length = options.mapper.abs_pose_refine_extra_params = False
    options.extract_colors = False
    options.min_model_size = 3
    options.mapper.init_min_num_inliers = 30
    options.mapper.abs_pose_min_num_inliers = 12
    options.mapper.abs_pose_max_error = MAX_POSE_ERROR
    return options


def _write_crops(frames: list[Frame], folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """The folder of the crops, named by the frames' numbers, and frame_from_crop ``(2, 3)`` of each."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir()
    masks.mkdir()
    placements = {}
    kernel = np.ones((2 * OUTLINE + 1, 2 * OUTLINE + 1), np.uint8)
    for number, frame in enumerate(frames):
        if frame.mask is None or not frame.mask.any():
            continue
        name = f"{number:04d}.png"
        crop, mask, placements[name] = _crop(frame.image, frame.mask)
        crop[~mask] = crop[mask].mean(axis=0).astype(np.uint8)  # bare, so that no time goes into it
        inner = cv2.erode(mask.astype(np.uint8) * 255, kernel)
        cv2.imwrite(str(images / name), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(masks / f"{name}.png"), inner)
    return images, placements


def _crop(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The object's square crop, its mask, and frame_from_crop ``(2, 3)`` in pixels."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    side = max(width, height) * (1 + 2 * MARGIN)
    left, top, step = x + width / 2 - side / 2, y + height / 2 - side / 2, side / CROP_SIZE
    # Pixel centres at whole numbers.
    frame_from_crop = np.array([[step, 0, left + 0.5 * step - 0.5], [0, step, top + 0.5 * step - 0.5]])
    size, back = (CROP_SIZE, CROP_SIZE), cv2.WARP_INVERSE_MAP
    smooth = cv2.INTER_CUBIC if step < 2 else cv2.INTER_AREA
    crop = cv2.warpAffine(
        image, frame_from_crop, size, flags=back | smooth, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(mask.astype(np.uint8), frame_from_crop, size, flags=back | cv2.INTER_NEAREST)
    return crop, inside > 0, frame_from_crop


def _to_full_frames(database: Path, frames: list[Frame], placements: dict[str, np.ndarray]) -> float:
    """Move features from the crops to where they lie in their frames, with the frames' intrinsics.

    Only there does a feature that stands still in the picture have equal coordinates in all of them.

    Returns:
        The median number of features in a crop.
    """
    import pycolmap

    counts = []
    with pycolmap.Database.open(database) as opened:
        for image in opened.read_all_images():
            found = frames[int(image.name[:4])].camera
            camera = opened.read_camera(image.camera_id)
            matrix = found.matrix
            # COLMAP's pixel (0, 0) is the corner of the top-left pixel, ours its centre.
            camera.params = [matrix[0, 0], matrix[1, 1], matrix[0, 2] + 0.5, matrix[1, 2] + 0.5]
            camera.width, camera.height = found.width, found.height
            camera.has_prior_focal_length = True
            opened.update_camera(camera)
            place = placements[image.name]
            features = opened.read_keypoints(image.image_id)  # x, y, and a 2x2 shape where there is one
            counts.append(len(features))
            features[:, :2] = (features[:, :2] - 0.5) * place[0, 0] + place[:, 2] + 0.5
            features[:, 2:] *= place[0, 0]
            opened.update_keypoints(image.image_id, features)
    return float(np.median(counts)) if counts else 0.0


def _drop_contradictions(database: Path) -> None:
    """Take out the matches of pairs that contradict the pictures between them."""
    import pycolmap

    with pycolmap.Database.open(database) as opened:
        numbers = {image.image_id: int(image.name[:4]) for image in opened.read_all_images()}
        turns, images = {}, {}
        for first, second in combinations(sorted(numbers, key=lambda image: numbers[image]), 2):
            if not opened.exists_two_view_geometry(first, second):
                continue
            found = opened.read_two_view_geometry(first, second)
            if found.cam2_from_cam1 is not None and len(found.inlier_matches):
                pair = numbers[first], numbers[second]
                turns[pair], images[pair] = found.cam2_from_cam1.rotation.matrix(), (first, second)
        for pair in turns.keys() - pairs_of_chain(turns):
            opened.delete_two_view_geometry(*images[pair])


def _moved(pose: np.ndarray, middle: np.ndarray, scale: float) -> np.ndarray:
    """camera_from_video where the video's frame is moved to `middle` and lengths are scaled."""
    moved = pose.copy()
    moved[:3, 3] = scale * (pose[:3, 3] + pose[:3, :3] @ middle)
    return moved


def _too_little(where: str, found: str) -> str:
    return (
        f"{where}: the object has too little texture for structure from motion ({found}); put a printed "
        "board under it (pose source board), record TF or the turntable's joint_states, or go nearer with "
        "sharper pictures"
    )
