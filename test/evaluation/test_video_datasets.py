"""CO3D and BOP on files written as they are published."""

import gzip
import json

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.datasets.bop import read_bop, read_models
from surfpose_ros.evaluation.datasets.co3d import opencv_camera, read_co3d, read_set_list
from surfpose_ros.evaluation.metrics import rotation_error
from surfpose_ros.geometry.symmetry import CONTINUOUS


def pytorch3d_pixels(points, viewpoint, height, width):
    """How PyTorch3D projects: NDC are +1 at the left and upper edge, pixels count from there."""
    seen = points @ np.array(viewpoint["R"]) + viewpoint["T"]
    ndc = np.array(viewpoint["focal_length"]) * seen[:, :2] / seen[:, 2:] + viewpoint["principal_point"]
    if viewpoint["intrinsics_format"] == "ndc_isotropic":
        half = np.full(2, min(height, width) / 2)
    else:
        half = np.array([width, height]) / 2
    return np.array([width, height]) / 2 - ndc * half


def viewpoint(seed=0, kind="ndc_isotropic"):
    generator = np.random.default_rng(seed)
    return {
        "R": Rotation.random(rng=generator).as_matrix().tolist(),
        "T": [0.3, -0.2, 6.0],
        "focal_length": [3.1, 2.9],
        "principal_point": [0.1, -0.05],
        "intrinsics_format": kind,
    }


@pytest.mark.parametrize("kind", ["ndc_isotropic", "ndc_norm_image_bounds"])
@pytest.mark.parametrize("size", [(480, 640), (640, 480)])
def test_co3ds_cameras_project_as_pytorch3d_does(kind, size):
    height, width = size
    points = np.random.default_rng(1).uniform(-1, 1, (20, 3))
    camera, pose = opencv_camera(viewpoint(kind=kind), height, width, "here")
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    pixels = seen @ camera.matrix.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    expected = pytorch3d_pixels(points, viewpoint(kind=kind), height, width)
    np.testing.assert_allclose(pixels, expected - 0.5, atol=1e-9)  # pixel (0, 0) is a pixel's centre


def write_co3d(root, frames=4, kind="ndc_isotropic", **viewpoint_changes):
    entries = []
    for number in range(frames):
        name = f"car/1_2_3/images/frame{number:06}.jpg"
        (root / "car/1_2_3/images").mkdir(parents=True, exist_ok=True)
        (root / "car/1_2_3/masks").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.full((48, 64, 3), 10 * number, np.uint8))
        mask = np.zeros((48, 64), np.uint8)
        mask[10:30, 20:40] = 200
        cv2.imwrite(str(root / f"car/1_2_3/masks/frame{number:06}.png"), mask)
        entries.append(
            {
                "sequence_name": "1_2_3",
                "frame_number": number,
                "frame_timestamp": 0.1 * number,
                "image": {"path": name, "size": [48, 64]},
                "mask": {"path": f"car/1_2_3/masks/frame{number:06}.png", "mass": 400.0},
                "viewpoint": {**viewpoint(number, kind), **viewpoint_changes},
                "depth": None,
                "meta": {"frame_type": "train", "frame_splits": ["fewview_train"]},
            }
        )
    sequences = [
        {
            "sequence_name": "1_2_3",
            "category": "car",
            "video": None,
            "point_cloud": {"path": "car/1_2_3/pointcloud.ply", "quality_score": 1.0, "n_points": 9},
            "viewpoint_quality_score": 0.8,
        }
    ]
    for kind_of, content in (("frame", entries), ("sequence", sequences)):
        with gzip.open(root / "car" / f"{kind_of}_annotations.jgz", "wt") as file:
            json.dump(content, file)


def test_a_co3d_sequence_becomes_an_object_video(tmp_path):
    write_co3d(tmp_path)
    (sequence,) = read_co3d(tmp_path, "car", ["1_2_3"])
    assert (
        sequence.viewpoint_quality == 0.8 and sequence.point_cloud == tmp_path / "car/1_2_3/pointcloud.ply"
    )
    video = sequence.read(max_frames=3)
    assert [frame.name for frame in video.frames] == [
        "frame000000.jpg",
        "frame000002.jpg",
        "frame000003.jpg",
    ]
    assert video.frames[0].mask.sum() == 400 and video.frames[0].image.shape == (48, 64, 3)
    assert video.pose_source == "dataset" and video.frames[1].stamp == pytest.approx(0.2)
    wanted = np.diag([-1, -1, 1]) @ np.array(viewpoint(2)["R"]).T
    assert rotation_error(video.frames[1].camera_from_video[:3, :3], wanted) < 1e-5


def test_co3ds_set_lists_name_sequences_and_frames(tmp_path):
    folder = tmp_path / "car" / "set_lists"
    folder.mkdir(parents=True)
    content = {"train": [["1_2_3", 5, "car/1_2_3/images/frame000006.jpg"]], "test": []}
    (folder / "set_lists_fewview_dev.json").write_text(json.dumps(content))
    assert read_set_list(tmp_path, "car", "fewview_dev", "train") == [("1_2_3", 5)]
    with pytest.raises(SurfposeError, match="no split 'val'"):
        read_set_list(tmp_path, "car", "fewview_dev", "val")
    with pytest.raises(SurfposeError, match="the set list manyview is missing; get it from"):
        read_set_list(tmp_path, "car", "manyview", "train")


def test_bad_co3d_is_said_in_one_line(tmp_path):
    with pytest.raises(SurfposeError, match="the category car is missing; get it from"):
        read_co3d(tmp_path, "car")
    write_co3d(tmp_path, R=[[1, 0, 0], [0, 1, 0], [0, 0, float("nan")]])
    with pytest.raises(SurfposeError, match="1_2_3 frame 0: the rotation is none"):
        read_co3d(tmp_path, "car")
    write_co3d(tmp_path)
    with pytest.raises(SurfposeError, match="no sequence 9_9_9"):
        read_co3d(tmp_path, "car", ["9_9_9"])
    (tmp_path / "car/1_2_3/images/frame000003.jpg").unlink()
    with pytest.raises(SurfposeError, match=r"frame000003\.jpg, which is not there"):
        read_co3d(tmp_path, "car")[0].read()
    (tmp_path / "car/frame_annotations.jgz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(SurfposeError, match="cannot be read"):
        read_co3d(tmp_path, "car")
    write_co3d(tmp_path, intrinsics_format="fisheye")
    with pytest.raises(SurfposeError, match="unknown kind 'fisheye'"):
        read_co3d(tmp_path, "car")


def test_real_co3d_pictures_agree_with_the_cameras_as_they_are_read(shared_data):
    """Matched points of neighbouring frames lie on each other's epipolar lines."""
    folder = shared_data / "co3d_seq" / "apple"
    cameras = np.load(folder / "gt_cameras.npz", allow_pickle=False)
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.jpg"))]
    distances, mirrored = [], []
    for first, second in [(0, 1), (5, 6), (9, 10), (14, 15)]:
        ends = [pictures[first], pictures[second]]
        views = [
            opencv_camera(
                {
                    "R": cameras["gtR"][index],
                    "T": cameras["gtT"][index],
                    "focal_length": cameras["gtFL"][index],
                    "principal_point": [0, 0],
                    "intrinsics_format": "ndc_isotropic",
                },
                *pictures[index].shape,
                "apple",
            )
            for index in (first, second)
        ]
        a, b = matched_points(*ends)
        distances.append(np.median(epipolar_distance(a, b, views)))
        wrong = [(camera, np.diag([-1.0, -1, 1, 1]) @ pose) for camera, pose in views]
        mirrored.append(np.median(epipolar_distance(a, b, wrong)))
    assert np.median(distances) < 3 < np.median(mirrored)


def matched_points(first, second):
    detector = cv2.SIFT_create(2000)
    (keys_a, a), (keys_b, b) = (
        detector.detectAndCompute(first, None),
        detector.detectAndCompute(second, None),
    )
    pairs = cv2.BFMatcher().knnMatch(a, b, k=2)
    good = [m for m, n in pairs if m.distance < 0.7 * n.distance]
    return (
        np.array([keys_a[m.queryIdx].pt for m in good]),
        np.array([keys_b[m.trainIdx].pt for m in good]),
    )


def epipolar_distance(a, b, views):
    (camera_a, pose_a), (camera_b, pose_b) = views
    relative = pose_b @ np.linalg.inv(pose_a)
    x, y, z = relative[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ relative[:3, :3]
    fundamental = np.linalg.inv(camera_b.matrix).T @ essential @ np.linalg.inv(camera_a.matrix)
    lines = np.column_stack([a, np.ones(len(a))]) @ fundamental.T
    return np.abs((np.column_stack([b, np.ones(len(b))]) * lines).sum(1)) / np.linalg.norm(
        lines[:, :2], axis=1
    )


def write_bop(root, rotation=None, model=None):
    scene = root / "test" / "000001"
    (scene / "rgb").mkdir(parents=True, exist_ok=True)
    (root / "models").mkdir(exist_ok=True)
    box = {"min_x": -50.0, "min_y": -40.0, "min_z": 0.0, "size_x": 100.0, "size_y": 80.0, "size_z": 60.0}
    (root / "models" / "models_info.json").write_text(
        json.dumps({"5": {"diameter": 150.0, **box, **(model or {})}})
    )
    turn = (
        Rotation.from_euler("xyz", [100, 20, 5], degrees=True).as_matrix() if rotation is None else rotation
    )
    pose = {"cam_R_m2c": np.ravel(turn).tolist(), "cam_t_m2c": [10.0, -20.0, 800.0], "obj_id": 5}
    (scene / "scene_gt.json").write_text(json.dumps({"3": [pose, {**pose, "obj_id": 5}]}))
    camera = {"cam_K": [600.0, 0, 320, 0, 600, 240, 0, 0, 1], "depth_scale": 1.0}
    (scene / "scene_camera.json").write_text(json.dumps({"3": camera}))
    info = [{"bbox_visib": [300, 200, 60, 50], "visib_fract": f} for f in (0.8, 0.05)]
    (scene / "scene_gt_info.json").write_text(json.dumps({"3": info}))
    cv2.imwrite(str(scene / "rgb" / "000003.png"), np.zeros((480, 640, 3), np.uint8))
    return turn


def test_bop_in_metres_with_the_origin_at_the_boxs_centre(tmp_path):
    turn = write_bop(tmp_path)
    (sample,) = read_bop(tmp_path, objects={5: "mug"})
    np.testing.assert_allclose(sample.size, [0.1, 0.08, 0.06])
    # P_m2i of the format's description, applied to the box's centre in the model's millimetres.
    matrix = np.array([[600, 0, 320], [0, 600, 240], [0, 0, 1.0]])
    expected = matrix @ (turn @ [0, 0, 30.0] + [10, -20, 800])
    seen = sample.matrix @ sample.translation
    np.testing.assert_allclose(seen[:2] / seen[2], expected[:2] / expected[2])
    assert sample.category == "mug" and sample.occlusion == "75-100 % visible"
    assert len(read_bop(tmp_path, min_visible=0.0)) == 2


def test_bops_symmetries(tmp_path):
    write_bop(tmp_path, model={"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]})
    assert read_models(tmp_path)[5].symmetry.order == CONTINUOUS
    half = np.diag([-1.0, -1, 1, 1]).ravel().tolist()
    write_bop(tmp_path, model={"symmetries_discrete": [half]})
    symmetry = read_models(tmp_path)[5].symmetry
    assert symmetry.order == 2 and abs(symmetry.axis[2]) == pytest.approx(1)


def test_bad_bop_is_said_in_one_line(tmp_path):
    with pytest.raises(SurfposeError, match=r"models_info.json: .* missing; get it from"):
        read_bop(tmp_path)
    write_bop(tmp_path, rotation=np.diag([1.0, 1, -1]))
    with pytest.raises(SurfposeError, match="000001/3#0: the rotation is none"):
        read_bop(tmp_path)
    write_bop(tmp_path)
    with pytest.raises(SurfposeError, match="no labelled object"):
        read_bop(tmp_path, objects={7: "cup"})
    (tmp_path / "test/000001/rgb/000003.png").unlink()
    with pytest.raises(SurfposeError, match="labels image 3"):
        read_bop(tmp_path)
