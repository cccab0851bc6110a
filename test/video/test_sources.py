import cv2
import numpy as np
import pytest

from surfpose_ros.errors import SurfposeError
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.video.bag import CaptureWriter
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.sources import find_sources, is_moving, read_source

CAMERA = Camera(np.array([[80.0, 0, 31.5], [0, 80, 23.5], [0, 0, 1]]), 64, 48)


def grey(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A picture, its overlay, a video of 6 pictures, a bag of 4, and a text."""
    cv2.imwrite(str(tmp_path / "a.png"), grey(10))
    cv2.imwrite(str(tmp_path / "a.pose.jpg"), grey(10))
    (tmp_path / "notes.txt").write_text("not a picture")
    video = cv2.VideoWriter(str(tmp_path / "b.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for index in range(6):
        video.write(grey(40 * index))
    video.release()
    with CaptureWriter(tmp_path / "c", CaptureInfo("mug")) as writer:
        for index in range(4):
            writer.write_camera_info("/camera_info", CAMERA, index * 10**8, "camera")
            writer.write_picture("/image", grey(50 * index), index * 10**8, "camera")
    return tmp_path


def test_a_folder_gives_its_pictures_videos_and_bags_but_no_overlays(folder):
    sources = find_sources([folder])
    assert [source.name for source in sources] == ["a.png", "b.avi", "c"]
    assert [is_moving(source) for source in sources] == [False, True, True]


def test_a_video_gives_each_so_many_th_picture_with_its_time(folder):
    pictures = list(read_source(folder / "b.avi", every=2))
    assert [picture.seconds for picture in pictures] == pytest.approx([0.0, 0.2, 0.4])
    assert [int(np.median(picture.image)) for picture in pictures] == pytest.approx([0, 80, 160], abs=4)
    assert pictures[0].camera is None


def test_a_bag_gives_its_pictures_with_the_intrinsics(folder):
    pictures = list(read_source(folder / "c"))
    assert [int(np.median(picture.image)) for picture in pictures] == pytest.approx(
        [0, 50, 100, 150], abs=3
    )
    assert np.allclose(pictures[2].camera.matrix, CAMERA.matrix)
    assert pictures[2].seconds == pytest.approx(0.2)


def test_nothing_to_look_at_is_said(tmp_path):
    with pytest.raises(SurfposeError, match="no picture, video or bag found"):
        find_sources([tmp_path])
    with pytest.raises(SurfposeError, match="no such picture"):
        find_sources([tmp_path / "gone.jpg"])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    with pytest.raises(SurfposeError, match=r"broken\.mp4: no video that OpenCV can read"):
        list(read_source(broken))
