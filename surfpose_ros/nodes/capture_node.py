"""Records captures: serialised messages go into the bag untouched, while a person is guided live.

Receiving, writing and looking at pictures each have a thread, so that none waits for another.
"""

import threading
from functools import partial
from pathlib import Path

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.diagnostics import Level, Status, diagnostic_array
from surfpose_ros.messages.images import decode_image, encode_image
from surfpose_ros.nodes.parameters import Parameter, Parameters
from surfpose_ros.nodes.raw_topics import RawMessage, RawTopics
from surfpose_ros.nodes.recording import Recording, free_folder
from surfpose_ros.nodes.reporting import Reporter
from surfpose_ros.nodes.running import run
from surfpose_ros.nodes.steady import steady_timer
from surfpose_ros.nodes.viewpoint import Viewpoint
from surfpose_ros.video.capture import CaptureInfo
from surfpose_ros.video.guidance import CaptureGuide, Guidance, GuidanceSettings, draw_guidance
from surfpose_ros.video.recorder import finish_interrupted, is_interrupted

ROLES = ("image", "camera_info", "joint_states", "/tf", "/tf_static", "background", "mask", "depth")


def _a_word(value: str) -> str:
    return "" if value.replace("_", "").replace("-", "").isalnum() else "it must be a word such as mug"


def _a_word_or_nothing(value: str) -> str:
    return _a_word(value) if value else ""


PARAMETERS = (
    Parameter("category", "object", "What is recorded, such as mug; in the next recording.", live=True,
              check=_a_word),
    Parameter("object", "", "Name of the capture, such as mug_red; empty numbers them mug_01, mug_02, ...",
              live=True, check=_a_word_or_nothing),
    Parameter("notes", "", "Free text for capture.yaml.", live=True),
    Parameter("output_dir", "captures", "Folder of the captures, made if missing.", live=True),
    Parameter("base_frame", "", "TF frame in which the object rests, or the turntable's base whose z axis "
              "it turns about; empty takes the root of the camera's tree.", live=True),
    Parameter("joint", "turntable_joint", "The turntable's joint in joint_states."),
    Parameter("extra_topics", [""], "Further topics to record, of any type that rosbag2 knows."),
    Parameter("buffer_mib", 512, "How much may wait for a slow disk before messages are lost.", "MiB",
              16, 16384),
    Parameter("min_free_gib", 1.0, "Recording is refused with less space on the disk.", "GiB", 0.0, 1000.0,
              live=True),
    Parameter("guidance_rate", 5.0, "Pictures a second that the guidance looks at.", "Hz", 0.2, 30.0),
    Parameter("rings", 2, "Elevations to film all round before it is enough.", low=1, high=6),
    Parameter("min_frames", 60, "Pictures before it is enough where view directions are unknown.",
              low=1, high=10000),
    Parameter("preview_width", 640, "Largest width of the preview.", "pixels", 64, 3840, live=True),
)  # fmt: skip


class CaptureNode(Node):
    """Records bags of one object each on request, and says when one is good enough."""

    def __init__(self) -> None:
        super().__init__("capture_node")
        self.parameters = Parameters(
            self, PARAMETERS, fixed=lambda: "it is read at start only; start the node again with it"
        )
        self._reporter = Reporter(self)
        self._guidance = self.create_publisher(DiagnosticArray, "~/guidance", 10)
        self._preview = self.create_publisher(Image, "~/preview", 1)
        self._recording: Recording | None = None
        self._lock = threading.Lock()  # of the viewpoint, which two threads use
        self._viewpoint = Viewpoint(self.parameters["joint"])
        self._newest: RawMessage | None = None
        self._ended = threading.Event()
        self._new_guide()
        names = [*ROLES, *self.parameters["extra_topics"]]
        self._topics = RawTopics(self, names, self._on_message, depth=100)
        for name, handler in (("start", self._start), ("stop", self._stop), ("discard", self._discard)):
            self.create_service(Trigger, f"~/{name}", partial(_answer, handler))
        steady_timer(self, 1.0, self._watch)
        self._guiding = threading.Thread(target=self._guide_forever, name="guidance", daemon=True)
        self._guiding.start()
        self._mend_interrupted()

    def destroy_node(self) -> None:
        """Finish a recording that is under way."""
        self._ended.set()
        self._guiding.join()
        if self._recording:
            self.get_logger().info(self._stop())
        super().destroy_node()

    # Recording

    def _on_message(self, message: RawMessage) -> None:
        recording = self._recording
        if recording:
            recording.put(message)
        if message.role == "image":
            self._newest = message
        elif message.role in ("joint_states", "/tf", "/tf_static"):
            with self._lock:
                self._viewpoint.add(message)

    def _start(self) -> str:
        if self._recording:
            raise SurfposeError(
                f"already recording {self._recording.folder}; call ~/stop or ~/discard first"
            )
        self._topics.discover()  # subscribing anew while recording would lose messages
        problem = self._topics.missing(("image", "camera_info"))
        if problem:
            raise SurfposeError(problem)
        category, name = self.parameters["category"], self.parameters["object"]
        folder = free_folder(Path(self.parameters["output_dir"]).expanduser(), category, name)
        info = CaptureInfo(
            category,
            object=folder.name,
            frame=self.parameters["base_frame"],
            joint=self.parameters["joint"],
            notes=self.parameters["notes"],
            topics={
                role.lstrip("/"): topic for role, topic in self._topics.names().items() if role in ROLES
            },
        )
        self._new_guide()
        self._recording = Recording(
            folder, info, self.parameters["buffer_mib"] * 2**20, self.parameters["min_free_gib"]
        )
        for message in self._topics.latched():
            self._recording.put(message)
        self._watch()
        return f"recording {folder}"

    def _stop(self) -> str:
        recording, self._recording = self._recording, None
        if recording is None:
            raise SurfposeError("nothing is being recorded; call ~/start first")
        summary = recording.stop()
        self._watch()
        return summary

    def _discard(self) -> str:
        recording, self._recording = self._recording, None
        if recording:
            recording.discard()
            self._watch()
            return f"{recording.folder} was thrown away while recording"
        raise SurfposeError("nothing is being recorded; delete a finished capture's folder instead")

    def _mend_interrupted(self) -> None:
        output = Path(self.parameters["output_dir"]).expanduser()
        for folder in sorted(path for path in output.glob("*") if is_interrupted(path)):
            try:
                count = finish_interrupted(folder)
                self.get_logger().warning(
                    f"{folder}: was cut off while recording; {count} messages are kept"
                )
            except SurfposeError as error:
                self.get_logger().error(str(error))

    def _watch(self) -> None:
        """Report on the recording and its topics."""
        self._topics.discover()
        recording = self._recording
        missing = self._topics.missing(("image", "camera_info"))
        inputs = Status("inputs", Level.WARN if missing else Level.OK, missing or "topics arrive",
                        self._topics.rates())  # fmt: skip
        self._reporter.report(inputs)
        if recording is None:
            self._reporter.report(Status("recording", Level.OK, "idle; call ~/start"))
            return
        self._reporter.report(recording.status())
        if recording.failed:
            try:
                self.get_logger().error(self._stop())
            except SurfposeError as error:
                self.get_logger().error(str(error))

    # Guidance

    def _new_guide(self) -> None:
        rings, min_frames = self.parameters["rings"], self.parameters["min_frames"]
        self._guide = CaptureGuide(GuidanceSettings(rings=rings, min_frames=min_frames))
        self._viewpoint.begin()

    def _guide_forever(self) -> None:
        period = 1 / self.parameters["guidance_rate"]
        while not self._ended.wait(period):
            message, self._newest = self._newest, None
            if message is None:
                continue
            try:
                self._guide_once(message)
            except SurfposeError as error:
                self._reporter.report(Status("guidance", Level.ERROR, str(error)))

    def _guide_once(self, message: RawMessage) -> None:
        content = message.content()
        image = decode_image(content)
        stamp = content.header.stamp
        with self._lock:
            view = self._viewpoint.at(self.parameters["base_frame"], content.header.frame_id, stamp)
        guidance = self._guide.add(image, view)
        recording = self._recording is not None
        status = _guidance_status(guidance, recording)
        self._guidance.publish(diagnostic_array([status], stamp))
        self._reporter.report(Status("guidance", Level.OK, "looking at the pictures"))
        if self._preview.get_subscription_count():
            width = self.parameters["preview_width"]
            if image.shape[1] > width:
                height = round(image.shape[0] * width / image.shape[1])
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            drawn = draw_guidance(image, guidance, recording)
            self._preview.publish(encode_image(drawn, content.header))


def _guidance_status(guidance: Guidance, recording: bool) -> Status:
    values = {
        "enough": guidance.enough,
        "pictures": guidance.frames,
        **{f"ring at {middle:.0f} deg": f"{share:.0%}" for middle, share in guidance.rings.items()},
        "view": "unknown"
        if guidance.view is None
        else "azimuth {:.0f}, elevation {:.0f} deg".format(*guidance.view),
        "sharpness": guidance.sharpness,
        "black": guidance.dark,
        "white": guidance.bright,
        "object centre": _shares(guidance.centre),
        "object size": _shares(guidance.size),
    }
    advice = guidance.advice if recording else f"not recording (call ~/start); {guidance.advice}"
    return Status("capture", Level.OK, advice, values)


def _shares(pair: tuple[float, float] | None) -> str:
    return "nothing moves" if pair is None else f"{pair[0]:.0%} of the width, {pair[1]:.0%} of the height"


def _answer(handler, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    try:
        response.success, response.message = True, handler()
    except SurfposeError as error:
        response.success, response.message = False, str(error)
    return response


def main() -> None:
    """Run the node."""
    run(CaptureNode)


if __name__ == "__main__":
    main()
