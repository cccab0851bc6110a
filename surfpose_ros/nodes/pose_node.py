"""Publishes the 6D poses of objects of known categories in camera images; a lifecycle node.

Callbacks only put messages aside; one thread works on the newest image, another loads models.
"""

import os
import threading
import time
import traceback

import torch
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.diagnostics import Level, Status
from surfpose_ros.messages.images import sound_cv_bridge
from surfpose_ros.nodes import optional
from surfpose_ros.nodes.camera_infos import CameraInfos
from surfpose_ros.nodes.model_store import ModelStore
from surfpose_ros.nodes.newest_frame import FrameMessages, NewestFrame
from surfpose_ros.nodes.parameters import Parameter, Parameters
from surfpose_ros.nodes.pose_output import PoseOutput
from surfpose_ros.nodes.pose_worker import PoseWorker
from surfpose_ros.nodes.raw_topics import RawMessage, RawTopics
from surfpose_ros.nodes.reporting import Reporter
from surfpose_ros.nodes.running import run
from surfpose_ros.nodes.steady import steady_timer
from surfpose_ros.nodes.timing import Timing

PARAMETERS = (
    Parameter("models", [""], "Folders of category models; new ones are loaded in the background and take "
              "over all at once.", live=True),
    Parameter("categories", [""], "Look for these of the loaded categories only; empty for all.",
              live=True),
    Parameter("autostart", True, "Configure and activate without being told to."),
    Parameter("device", "auto", "Where the networks run; auto takes a GPU if there is one.",
              choices=("auto", "cpu", "cuda")),
    Parameter("compile", False, "Compile, to be faster: on a GPU the pose search, which takes half a "
              "minute at the first images of each kind and needs a C compiler; on a CPU the networks, by "
              "OpenVINO."),
    Parameter("threads", 0, "Processor threads of the networks; 0 leaves one core to camera and DDS, and "
              "never takes more than OMP_NUM_THREADS.", low=0, high=256),
    Parameter("threshold", 0.5, "Least score of a detection: the probability that the object is there and "
              "its first pose within 30 degrees.", low=0.0, high=1.0, live=True),
    Parameter("max_objects", 4, "Most objects of each category in an image.", low=1, high=50, live=True),
    Parameter("max_rate", 0.0, "Most images a second to work on, to spare the machine; 0 for all it can.",
              "Hz", 0.0, 240.0, live=True),
    Parameter("tracking", True, "Smooth poses over time and keep names; turn it off where images do not "
              "follow each other.", live=True),
    Parameter("localise_period", 0.5, "While tracking follows all objects seen, the whole image is "
              "searched for new ones only so often; 0 searches every image.", "s", 0.0, 60.0, live=True),
    Parameter("rectified", False, "The image is an image_rect already: use camera_info's P and undo no "
              "distortion."),
    Parameter("use_depth", False, "Wait for the depth image, registered to the image, of each image."),
    Parameter("use_detections_2d", False, "Look only into the boxes of detections_2d."),
    Parameter("detection_classes", [""], "Only boxes of these classes; empty for all."),
    Parameter("match_tolerance", 0.02, "Most that the stamps of an image and of its depth or boxes may "
              "differ.", "s", 0.0, 1.0),
    Parameter("max_age", 0.0, "Older images are skipped; 0 takes any.", "s", 0.0, 3600.0, live=True),
    Parameter("latency_warn", 1.0, "A longer end-to-end latency is a warning.", "s", 0.001, 60.0,
              live=True),
    Parameter("publish_tf", True, "Send the frames <category>_<n>.", live=True),
    Parameter("marker_lifetime", 1.0, "How long markers stay without a new message.", "s", 0.0, 60.0,
              live=True),
)  # fmt: skip

STALE_S = 1.0  # an image older than this on arrival points at clocks that do not agree
STARVED_S = 2.0  # without an image for so long, the last poses are news no more


class PoseNode(LifecycleNode):
    """Publishes the 6D poses that category models see in camera images."""

    def __init__(self) -> None:
        super().__init__("pose_node")
        self._state = "unconfigured"
        self.parameters = Parameters(self, PARAMETERS, fixed=self._why_fixed)
        self._reporter = Reporter(self)
        self._store = ModelStore(self.parameters, self._reporter.report, self._on_new_models)
        self.parameters.on_change(self._on_parameters)
        self.create_service(Trigger, "~/reload", self._on_reload)
        self._starting = self.parameters["autostart"]
        self._starter = steady_timer(self, 0.1, self._autostart) if self._starting else None
        self._report_state()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and make the publishers."""
        spare = min(torch.get_num_threads(), max(1, (os.cpu_count() or 1) - 1))
        torch.set_num_threads(self.parameters["threads"] or spare)
        try:
            self._store.load()
        except SurfposeError as error:
            self._reporter.report(Status("models", Level.ERROR, str(error)))
            return TransitionCallbackReturn.FAILURE
        self._output = PoseOutput(self)
        self._output.show_models(list(self._store.models.values()))
        complaints = [*self._output.complaints]
        if self.parameters["use_detections_2d"] and optional.DETECTIONS_2D.load() is None:
            complaints.append(optional.DETECTIONS_2D.complaint)
        if sound_cv_bridge() is None:
            self.get_logger().info(optional.NO_CV_BRIDGE, once=True)
        if complaints:
            self._reporter.report(Status("packages", Level.WARN, "; ".join(complaints)))
        self._set_state("inactive")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to work."""
        partners = [role for role in ("depth", "detections_2d") if self.parameters[f"use_{role}"]]
        self._newest = NewestFrame(partners, self.parameters["match_tolerance"])
        self._infos = CameraInfos()
        self._timing = Timing()
        self._last_work = 0.0
        self._processor = PoseWorker(self.parameters["rectified"], self.parameters["detection_classes"])
        self._processor.know_symmetries(self._store.models.values())
        self._roles = ("image", "camera_info", *partners)
        self._topics = RawTopics(self, self._roles, self._on_message, depth=1)
        self._worker = threading.Thread(target=self._work, name="pose", daemon=True)
        self._worker.start()
        self._watcher = steady_timer(self, 0.5, self._watch)
        self._set_state("active")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working; models stay loaded."""
        self._stop_work()
        self._set_state("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of models and publishers."""
        self._release()
        self._set_state("unconfigured")
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        if self._state == "active":
            self._stop_work()
        if self._state != "unconfigured":
            self._release()
        self._set_state("finalized")
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stop the threads first, and leave nothing behind."""
        if self._state == "active":
            self._stop_work()
        super().destroy_node()
        # rclpy lets the lifecycle hold on to the node, and so DDS to 64 MiB of shared memory, for ever.
        self._state_machine.destroy_when_not_in_use()

    def _autostart(self) -> None:
        self.destroy_timer(self._starter)
        if self._state == "unconfigured":
            self.trigger_configure()
        self._starting = False
        if self._state == "inactive":
            self.trigger_activate()
        self._report_state()

    def _stop_work(self) -> None:
        self.destroy_timer(self._watcher)
        self._topics.destroy()
        self._newest.close()
        self._worker.join()
        for name in ("inputs", "poses", "latency"):
            self._reporter.forget(name)

    def _release(self) -> None:
        self._store.release()
        self._output.destroy()
        for name in ("models", "packages"):
            self._reporter.forget(name)

    def _set_state(self, state: str) -> None:
        self._state = state
        self._report_state()

    def _report_state(self) -> None:
        level = Level.OK if self._state == "active" or self._starting else Level.WARN
        hint = {
            "unconfigured": "unconfigured: ros2 lifecycle set {} configure, or "
            + ("call ~/reload" if self.parameters["autostart"] else "the parameter autostart"),
            "inactive": "inactive: ros2 lifecycle set {} activate",
        }.get(self._state, self._state)
        self._reporter.report(Status("state", level, hint.format(self.get_fully_qualified_name())))

    def _why_fixed(self) -> str:
        return (
            ""
            if self._state == "unconfigured"
            else "it is read when the node is configured: clean it up first"
        )

    # Parameters and models

    def _on_parameters(self, names: set[str]) -> None:
        if self._state == "unconfigured":
            if "models" in names and self.parameters["autostart"]:
                self._starter = steady_timer(self, 0.1, self._autostart)
        elif "models" in names:
            self._store.load_later()
        elif names & {"threshold", "max_objects", "categories"}:
            self._store.apply_settings()

    def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Read the model folders again, after they were retrained; configure, if that failed before."""
        if self._state in ("inactive", "active"):
            self._store.load_later()
        elif self._state == "unconfigured" and self.parameters["autostart"]:
            self._starter = steady_timer(self, 0.1, self._autostart)
        else:
            response.message = f"the node is {self._state}: configure it first"
            return response
        response.success, response.message = True, "loading; see /diagnostics"
        return response

    def _on_new_models(self) -> None:
        self._output.show_models(list(self._store.models.values()))
        if self._state == "active":
            self._processor.know_symmetries(self._store.models.values())

    # Images

    def _on_message(self, message: RawMessage) -> None:
        if message.role == "camera_info":
            self._infos.put(message)
        else:
            self._newest.put(message)

    def _work(self) -> None:
        """The thread that works on images, until `NewestFrame` is closed."""
        ready = 0.0
        while True:
            time.sleep(max(0.0, ready - time.monotonic()))
            frame = self._newest.take()
            if frame is None:
                return
            self._last_work = time.monotonic()
            rate = self.parameters["max_rate"]
            ready = time.monotonic() + (1 / rate if rate else 0.0)
            try:
                self._process(frame)
            except SurfposeError as error:
                self._report_none(str(error))
            except Exception as error:  # no image may stop the node
                self.get_logger().error(traceback.format_exc())
                self._report_none(f"bug: {error!r}; please report it with the log")

    def _process(self, frame: FrameMessages) -> None:
        began = self.get_clock().now().nanoseconds
        age = (began - frame.image.stamp) / 1e9
        max_age = self.parameters["max_age"]
        if max_age and age > max_age:
            raise SurfposeError(
                f"the image is {age:.1f} s old and max_age is {max_age:g} s: do the clocks agree?"
            )
        info = self._infos.at(frame.image.stamp)
        if info is None:
            raise SurfposeError("no camera_info has come, and poses need the intrinsics")
        tracking, period = self.parameters["tracking"], self.parameters["localise_period"]
        posed = self._processor(frame, info, self._store.estimator, tracking, period)
        before = time.perf_counter()
        self._output.publish(
            posed.objects, posed.header, self.parameters["publish_tf"], self.parameters["marker_lifetime"]
        )
        self._output.publish_overlay(
            posed.image, posed.result, posed.objects, posed.calibration.camera, posed.header
        )
        stages = {"wait": (began - frame.image.arrived) / 1e9, **posed.stage_seconds}
        stages["publish"] = time.perf_counter() - before
        latency = (self.get_clock().now().nanoseconds - frame.image.stamp) / 1e9
        self._timing.add(latency, stages)
        self._output.publish_latency(self._timing.last_ms(self._newest.dropped))
        self._reporter.report(posed.status(age, self.parameters["threshold"]))

    # Reports

    def _report_none(self, reason: str) -> None:
        self._reporter.report(Status("poses", Level.ERROR, f"none: {reason}"))

    def _watch(self) -> None:
        self._topics.discover()
        missing = self._topics.missing(self._roles)
        if not missing and self._newest.unmatched():
            missing = "stamps of depth or detections_2d match no image's; see match_tolerance"
        level, message = (Level.WARN, missing) if missing else (Level.OK, "images arrive")
        self._reporter.report(Status("inputs", level, message, self._topics.rates()))
        if missing and time.monotonic() - self._last_work > STARVED_S:
            self._reporter.report(Status("poses", Level.WARN, f"none: {missing}"))
        if self._timing.count:
            warn = self.parameters["latency_warn"]
            self._reporter.report(self._timing.status(warn, STALE_S, self._newest.dropped))


def main() -> None:
    """Run the node."""
    run(PoseNode)


if __name__ == "__main__":
    main()
