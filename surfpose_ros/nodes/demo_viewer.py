"""Shows labelled pictures to a running pose_node one by one, as a camera would, and keeps its answers.

Writes them all as JSON in the end; says each picture on standard output.
"""

import time
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray

from surfpose_ros.errors import SurfposeError
from surfpose_ros.files import write_json
from surfpose_ros.geometry.cameras import Camera
from surfpose_ros.messages.cameras import encode_camera_info
from surfpose_ros.messages.images import encode_image
from surfpose_ros.messages.poses import matrix_from_pose
from surfpose_ros.nodes.demo_client import DemoClient, run_once
from surfpose_ros.nodes.parameters import Parameter, Parameters
from surfpose_ros.video.labels import read_labels
from surfpose_ros.video.pictures import decode_picture

PARAMETERS = (
    Parameter("labels", "", "Labels CSV beside its pictures."),
    Parameter("out", "", "JSON file for the answers."),
    Parameter("timeout", 180.0, "Longest wait for pose_node's first answer.", "s", 1.0, 3600.0),
    Parameter("patience", 60.0, "Longest wait for any other answer.", "s", 0.1, 3600.0),
)  # fmt: skip
FRAME = "camera_optical_frame"
REPEAT_S = 3.0  # between two showings of the first picture


class DemoViewer(DemoClient):
    """Publishes image and camera_info, waits for the detections of the same stamp."""

    def __init__(self) -> None:
        super().__init__("demo_viewer")
        self.parameters = Parameters(self, PARAMETERS)
        self.timeout = self.parameters["timeout"]
        self._images = self.create_publisher(Image, "image", 1)
        self._infos = self.create_publisher(CameraInfo, "camera_info", 1)
        self._answers: dict[tuple[int, int], tuple[float, Detection3DArray]] = {}
        self.create_subscription(Detection3DArray, "detections", self._on_detections, 10)

    def show_all(self) -> None:
        """Show every picture and write the answers."""
        labels = Path(self.parameters["labels"])
        rows = read_labels(labels, labels.parent)
        self.wait_for(lambda: self.count_subscribers("image") > 0, "pose_node to subscribe to image")
        answers = []
        for row in rows:
            image = decode_picture(row.path.read_bytes(), str(row.path))
            fx, fy, cx, cy = row.intrinsics or (1.0, 1.0, 0.0, 0.0)
            matrix = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
            camera = Camera(matrix, image.shape[1], image.shape[0])
            answer = self._show(image, camera, first=not answers)
            answers.append({"image": row.image, **answer})
            print(row.image, flush=True)
        write_json(Path(self.parameters["out"]), {"format_version": 1, "answers": answers})

    def _show(self, image: Any, camera: Camera, first: bool) -> dict[str, Any]:
        """Publish one picture; the first again and again, since pose_node may still be starting."""
        limit = time.monotonic() + (self.timeout if first else self.parameters["patience"])
        sent: dict[tuple[int, int], float] = {}
        while time.monotonic() < limit:
            header = Header(stamp=self.get_clock().now().to_msg(), frame_id=FRAME)
            sent[header.stamp.sec, header.stamp.nanosec] = time.monotonic()
            self._infos.publish(encode_camera_info(camera, header))
            self._images.publish(encode_image(image, header))
            self.spin_until(
                lambda: self._answers.keys() & sent, REPEAT_S if first else limit - time.monotonic()
            )
            for key in self._answers.keys() & sent:
                received, message = self._answers[key]
                return {
                    "seconds": received - sent[key],
                    "detections": [_plain(detection) for detection in message.detections],
                }
        if first:
            raise SurfposeError(
                f"demo_viewer: no answer from pose_node in {self.timeout:.0f} s; see its log"
            )
        return {"seconds": None, "detections": []}

    def _on_detections(self, message: Detection3DArray) -> None:
        stamp = message.header.stamp
        self._answers[stamp.sec, stamp.nanosec] = (time.monotonic(), message)


def _plain(detection: Detection3D) -> dict[str, Any]:
    size = detection.bbox.size
    return {
        "id": detection.id,
        "size": [size.x, size.y, size.z],
        "results": [
            {
                "category": result.hypothesis.class_id,
                "score": result.hypothesis.score,
                "camera_from_object": matrix_from_pose(result.pose.pose).tolist(),
                "covariance": list(result.pose.covariance),
            }
            for result in detection.results
        ],
    }


def main() -> None:
    """Run the node until every picture was shown."""
    run_once(DemoViewer, DemoViewer.show_all)


if __name__ == "__main__":
    main()
