import re
import shutil

import cv2
import numpy as np
import pytest
import yaml

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.bag import CaptureWriter, read_messages, read_topics
from surfpose_ros.video.capture import CaptureInfo, find_captures, read_info
from surfpose_ros.video.reader import read_capture

from .recordings import CAMERA, IMAGE, INFO, MASK, brick, camera_from_base, picture, turned, write_turntable


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return write_turntable(tmp_path_factory.mktemp("captures") / "brick_01")


@pytest.fixture
def capture(recorded, tmp_path):
    """A copy that a test may break."""
    shutil.copytree(recorded, tmp_path / "brick_01")
    return tmp_path / "brick_01"


def test_a_turntable_capture_is_read_with_poses_masks_up_and_floor(recorded):
    video = read_capture(recorded)
    assert (video.name, video.category, video.pose_source, video.metric) == (
        "brick_01",
        "brick",
        "turntable",
        True,
    )
    assert len(video.frames) == 24
    assert np.array_equal(video.up, [0, 0, 1])
    assert video.floor == 0
    for index in (0, 7, 23):
        frame = video.frames[index]
        expected = camera_from_base() @ turned(2 * np.pi * index / 24)
        # The joint's angle is interpolated between its own stamps.
        assert np.allclose(frame.camera_from_video, expected, atol=2e-3)
        _, mask = picture(brick(), expected)
        overlap = (frame.mask & mask).sum() / (frame.mask | mask).sum()
        assert overlap > 0.9


def test_a_moving_camera_with_tf_is_read_in_the_root_of_the_tree(tmp_path):
    folder = tmp_path / "brick_02"
    with CaptureWriter(folder, CaptureInfo("brick")) as writer:
        for index in range(8):
            stamp = 10**9 + index * 10**8
            pose = camera_from_base() @ turned(0.1 * index)
            image, mask = picture(brick(), pose)
            writer.write_picture(IMAGE, image, stamp, "camera")
            writer.write_picture(MASK, mask, stamp, "camera", codec="png")
            writer.write_camera_info(INFO, CAMERA, stamp, "camera")
            # The hand moves in the world, the camera is fixed to the hand.
            hand_from_camera = np.eye(4)
            hand_from_camera[:3, 3] = [0.0, 0.05, 0.02]
            world_from_hand = np.linalg.inv(pose) @ np.linalg.inv(hand_from_camera)
            writer.write_transform("/tf", "world", "hand", world_from_hand, stamp - 10**7)
            writer.write_transform("/tf", "world", "hand", world_from_hand, stamp + 10**7)
            writer.write_transform("/tf_static", "hand", "camera", hand_from_camera, stamp)
    video = read_capture(folder)
    assert (video.pose_source, video.metric, len(video.frames)) == ("tf", True, 8)
    assert np.allclose(video.frames[3].camera_from_video, camera_from_base() @ turned(0.3), atol=1e-6)
    assert np.array_equal(video.frames[3].mask, picture(brick(), camera_from_base() @ turned(0.3))[1])


def test_a_long_recording_is_thinned_out_evenly(recorded):
    video = read_capture(recorded, max_frames=6)
    stamps = [frame.stamp for frame in video.frames]
    assert len(stamps) == 6
    assert np.ptp(np.diff(stamps)) < 0.7


def test_of_a_long_recording_the_sharp_frames_are_taken(tmp_path):
    folder = tmp_path / "blurred"
    generator = np.random.default_rng(0)
    with CaptureWriter(folder, CaptureInfo("brick")) as writer:
        for index in range(12):
            image = generator.integers(0, 255, (72, 96, 3), np.uint8)
            if index % 3:
                image = cv2.GaussianBlur(image, (9, 9), 0)
            writer.write_picture(IMAGE, image, 10**9 * (index + 1), "camera")
            writer.write_camera_info(INFO, CAMERA, 10**9 * (index + 1), "camera")
    video = read_capture(folder, max_frames=4, masks="topic")
    assert [frame.stamp for frame in video.frames] == [1.0, 4.0, 7.0, 10.0]


def test_masks_that_were_asked_for_by_name_must_be_possible(recorded, tmp_path):
    folder = write_turntable(tmp_path / "plain", frames=4, background=False)
    with pytest.raises(SurfposeError, match="no background pictures"):
        read_capture(folder, masks="background")
    assert "masks: background" in read_capture(recorded).notes


def test_raw_and_compressed_images_read_the_same(tmp_path):
    from surfpose_ros.video.bag import new_header, new_message
    from surfpose_ros.video.pictures import picture_from_message

    image, _ = picture(brick(), camera_from_base())
    raw = new_message(
        "sensor_msgs/msg/Image", header=new_header(10**9, "camera"), height=72, width=96, encoding="bgr8",
        is_bigendian=0, step=96 * 3, data=image[..., ::-1].ravel(),
    )  # fmt: skip
    with CaptureWriter(tmp_path / "one", CaptureInfo("brick")) as writer:
        writer.write("/raw", raw, 10**9)
        writer.write_picture("/compressed", image, 10**9, "camera", codec="png")
    pictures = [
        picture_from_message(message.content, "here")
        for message in read_messages(tmp_path / "one", ["/raw", "/compressed"])
    ]
    assert len(pictures) == 2
    assert all(np.array_equal(found, image) for found in pictures)


def test_lens_distortion_is_taken_out(tmp_path):
    from surfpose_ros.video.pictures import Rectifier

    image, _ = picture(brick(), camera_from_base())

    class Info:
        k, d, width, height = CAMERA.matrix.ravel(), np.array([-0.3, 0.1, 0.001, 0, 0]), 96, 72
        p, distortion_model = np.zeros(12), "plumb_bob"

    expected = cv2.undistort(image, CAMERA.matrix, Info.d)
    difference = np.abs(Rectifier(Info, False, "here")(image).astype(int) - expected.astype(int))
    assert np.percentile(difference, 99) <= 2


def test_a_folder_of_captures_is_opened_one_level(recorded, tmp_path):
    assert find_captures([recorded.parent]) == [recorded]
    with pytest.raises(SurfposeError, match="neither a capture"):
        find_captures([tmp_path])


def test_truths_and_labels_that_a_shell_names_beside_captures_are_passed_over(recorded, tmp_path):
    truth = tmp_path / "truth.json"
    truth.write_text("{}")
    assert find_captures([recorded, truth]) == [recorded]
    with pytest.raises(SurfposeError, match="no captures in"):
        find_captures([truth])


def break_bag(capture, how):
    mcap = next(capture.glob("*.mcap"))
    if how == "truncated":
        mcap.write_bytes(mcap.read_bytes()[: mcap.stat().st_size // 2])
    elif how == "overwritten":
        data = bytearray(mcap.read_bytes())
        data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
        mcap.write_bytes(bytes(data))
    elif how == "no bytes":
        mcap.write_bytes(b"")
    elif how == "gone":
        mcap.unlink()
    elif how == "no metadata":
        (capture / "metadata.yaml").unlink()
    elif how == "broken metadata":
        (capture / "metadata.yaml").write_text("rosbag2_bagfile_information: {version: [")


@pytest.mark.parametrize(
    "how", ["truncated", "overwritten", "no bytes", "gone", "no metadata", "broken metadata"]
)
def test_a_damaged_bag_is_one_line_with_its_name_and_a_remedy(capture, how):
    break_bag(capture, how)
    with pytest.raises(SurfposeError) as error:
        read_capture(capture)
    text = str(error.value)
    assert "\n" not in text
    assert "brick_01" in text
    assert "ros2 bag reindex" in text or "record it again" in text


def test_bags_that_lack_something_say_what(tmp_path):
    with CaptureWriter(tmp_path / "empty", CaptureInfo("brick")):
        pass
    with pytest.raises(SurfposeError, match="the bag is empty"):
        read_capture(tmp_path / "empty")
    with CaptureWriter(tmp_path / "blind", CaptureInfo("brick")) as writer:
        writer.write_joint("/joint_states", "turntable_joint", 0.0, 10**9)
    with pytest.raises(SurfposeError, match="no images"):
        read_capture(tmp_path / "blind")
    with pytest.raises(SurfposeError, match="no camera_info"):
        read_capture(write_turntable(tmp_path / "uncalibrated", frames=3, camera_info=True))
    with pytest.raises(SurfposeError, match="TF does not know the frame"):
        read_capture(write_turntable(tmp_path / "untransformed", frames=3, tf=True))


def test_the_turntable_asked_for_by_name_must_be_in_the_bag(tmp_path):
    folder = write_turntable(tmp_path / "still", frames=3, joint=True)
    with pytest.raises(SurfposeError, match="no angle of the joint 'turntable_joint'"):
        read_capture(folder, poses="turntable")
    assert read_capture(folder).pose_source == "none"


def test_images_of_another_size_than_camera_info_are_refused(tmp_path):
    folder = tmp_path / "mixed"
    with CaptureWriter(folder, CaptureInfo("brick")) as writer:
        for index, camera in enumerate((CAMERA, Camera(CAMERA.matrix, 48, 36))):
            image = np.zeros((camera.height, camera.width, 3), np.uint8)
            writer.write_picture(IMAGE, image, 10**9 * (index + 1), "camera")
        writer.write_camera_info(INFO, CAMERA, 10**9, "camera")
    with pytest.raises(SurfposeError, match="the image is 48x36 but camera_info says 96x72"):
        read_capture(folder)


@pytest.mark.parametrize("focal", [0.0, float("nan")])
def test_intrinsics_that_are_none_are_refused_by_topic(tmp_path, focal):
    folder = tmp_path / "nan"

    class Broken:
        matrix, width, height = np.array([[focal, 0, 1], [0, focal, 1], [0, 0, 1]]), 96, 72

    with CaptureWriter(folder, CaptureInfo("brick")) as writer:
        writer.write_picture(IMAGE, np.zeros((72, 96, 3), np.uint8), 10**9, "camera")
        writer.write_camera_info(INFO, Broken, 10**9, "camera")
    with pytest.raises(SurfposeError, match=r"nan: /camera/camera_info.*calibrate|check camera_info"):
        read_capture(folder)


def test_a_recording_of_two_frames_says_so(tmp_path):
    write_turntable(tmp_path / "short", frames=2)
    with pytest.raises(SurfposeError, match=r"only 2 frames.*record a whole turn"):
        read_capture(tmp_path / "short")


def test_a_gap_in_tf_leaves_frames_out_and_a_large_one_refuses(tmp_path):
    folders = {}
    for name, known in (("small", 10), ("large", 4)):
        folders[name] = tmp_path / name
        with CaptureWriter(folders[name], CaptureInfo("brick")) as writer:
            for index in range(12):
                stamp = 10**9 * (index + 1)
                image, mask = picture(brick(), camera_from_base() @ turned(0.5 * index))
                writer.write_picture(IMAGE, image, stamp, "camera")
                writer.write_picture(MASK, mask, stamp, "camera", codec="png")
                writer.write_camera_info(INFO, CAMERA, stamp, "camera")
                if index < known:
                    pose = np.linalg.inv(camera_from_base() @ turned(0.5 * index))
                    writer.write_transform("/tf", "world", "camera", pose, stamp)
    video = read_capture(folders["small"])
    assert len(video.frames) == 10
    assert any("2 of 12 frames left out" in note for note in video.notes)
    with pytest.raises(SurfposeError, match="no camera pose for 8 of 12 frames"):
        read_capture(folders["large"])


def test_capture_yaml_refuses_what_it_does_not_know(capture):
    path = capture / "capture.yaml"
    whole = yaml.safe_load(path.read_text())
    for change, reason in (
        ({"category": ""}, "category must be a word"),
        ({"pose_source": "guess"}, "pose_source is 'guess'"),
        ({"topics": {"picture": "/a"}}, "the roles are image"),
        ({"up": [0, 0, 0]}, "up must be three numbers"),
        ({"colour": "red"}, "colour"),
        ({"format_version": 9}, "format version 9"),
        ({"frames": [{"stamp": "soon"}]}, "capture.yaml"),
    ):
        path.write_text(yaml.safe_dump({**whole, **change}))
        with pytest.raises(SurfposeError, match=reason):
            read_info(capture)
    path.unlink()
    with pytest.raises(SurfposeError, match="write one with the two lines"):
        read_info(capture)
    with pytest.raises(SurfposeError, match="no such capture folder"):
        read_info(capture / "nowhere")


@pytest.mark.parametrize(
    ("topics", "reason"),
    [
        ({"camera_info": "/joint_states"}, "for camera_info, and it is of type sensor_msgs/msg/JointState"),
        ({"image": "/camera/camera_info"}, "for image, and it is of type sensor_msgs/msg/CameraInfo"),
        ({"image": IMAGE, "mask": IMAGE}, "for image and mask"),
    ],
)
def test_topics_named_for_what_they_are_not_are_refused(capture, topics, reason):
    path = capture / "capture.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"topics": topics}))
    with pytest.raises(SurfposeError, match=reason):
        read_capture(capture)


def test_a_metadata_yaml_that_counts_in_words_is_refused(capture):
    path = capture / "metadata.yaml"
    path.write_text(re.sub(r"(message_count:) \d+", r"\1 many", path.read_text()))
    with pytest.raises(SurfposeError, match="damaged"):
        read_capture(capture)


def test_a_capture_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), CaptureWriter(tmp_path / "half", CaptureInfo("brick")) as writer:
        writer.write_joint("/joint_states", "turntable_joint", 0.0, 10**9)
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_capture_is_not_overwritten_unasked(capture):
    with pytest.raises(SurfposeError, match="exists already"), CaptureWriter(capture, CaptureInfo("brick")):
        pass
    assert "/joint_states" in read_topics(capture)
