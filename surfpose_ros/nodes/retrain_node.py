"""Retrains a category from a folder of captures on request, in a thread of its own.

Finished steps stay in the work folder: a cancelled or killed training goes on where it stopped.
"""

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from surfpose_ros.alignment.canonical import AXES
from surfpose_ros.category.train_settings import PRESETS
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation.own_frames import measure_own_frames
from surfpose_ros.messages.diagnostics import Level, Status, diagnostic_array
from surfpose_ros.nodes.parameters import Parameter, Parameters
from surfpose_ros.nodes.reporting import Reporter
from surfpose_ros.nodes.running import run
from surfpose_ros.progress import Cancelled
from surfpose_ros.retrain import RetrainReport, RetrainSettings, retrain
from surfpose_ros.video.capture import find_captures, read_info

PARAMETERS = (
    Parameter("category", "", "Name of the category, such as mug.", live=True),
    Parameter("captures_dir", "captures", "Folder of captures, as capture_node writes them; those of other "
              "categories are left out.", live=True),
    Parameter("output_dir", "", "Folder of the model; empty for models/<category>.", live=True),
    Parameter("work_dir", "", "Folder of the stages' work; empty for work/<category>.", live=True),
    Parameter("masks", "auto", "Where the object's masks come from: auto for what each capture allows, a "
              "method as surfpose reconstruct knows them, or an ONNX segmentation network.", live=True),
    Parameter("front", "", "Axis of alignment.png in the work folder along which objects face; empty to "
              "leave it.", choices=("", *AXES), live=True),
    Parameter("preset", "full", "How long to train: full for use, long for a GPU, quick to try out.",
              choices=tuple(PRESETS), live=True),
    Parameter("device", "auto", "Where to train; auto takes a GPU if there is one.",
              choices=("auto", "cpu", "cuda"), live=True),
    Parameter("autostart", False, "Begin to train at once."),
    Parameter("reload_service", "pose_node/reload", "Called after success, for a running pose_node to take "
              "the new model; empty for none.", live=True),
)  # fmt: skip

# Who asks in the middle of a long stage is told at once where it is.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class RetrainNode(Node):
    """Turns recorded captures into a category model when asked."""

    def __init__(self) -> None:
        super().__init__("retrain_node")
        self.parameters = Parameters(self, PARAMETERS)
        self._reporter = Reporter(self)
        self._progress_out = self.create_publisher(DiagnosticArray, "~/progress", LATCHED)
        self._report_out = self.create_publisher(String, "~/report", LATCHED)
        self._stage = ""
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy = False
        self.create_service(Trigger, "~/start", self._start)
        self.create_service(Trigger, "~/cancel", self._cancel)
        self._say(Level.OK, "idle; call ~/start")
        if self.parameters["autostart"]:
            answer = self._start(Trigger.Request(), Trigger.Response())
            self.get_logger().info(answer.message)

    def destroy_node(self) -> None:
        """Stop at the next step."""
        self._cancelled.set()
        if self._thread:
            self._thread.join()
        super().destroy_node()

    def _start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._busy:
            response.message = "training is under way already; call ~/cancel first"
        elif not self.parameters["category"]:
            response.message = "set the parameter category first"
        else:
            self._cancelled.clear()
            self._busy = True
            self._thread = threading.Thread(target=self._train, name="retrain", daemon=True)
            self._thread.start()
            response.success, response.message = True, "started; see ~/progress"
        return response

    def _cancel(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._busy
        response.message = "stopping at the next step" if response.success else "nothing is being trained"
        self._cancelled.set()
        return response

    def _train(self) -> None:
        try:
            report, figures = self._retrain()
        except Cancelled:
            self._end(Level.OK, "cancelled; finished steps are kept, call ~/start to go on")
        except SurfposeError as error:
            self._end(Level.ERROR, str(error))
        except Exception as error:  # the node stays, whatever happens in training
            self.get_logger().error(f"{error!r}")
            self._end(Level.ERROR, f"bug: {error!r}; please report it with the log")
        else:
            content = {**asdict(report), "figures": figures}
            self._report_out.publish(String(data=json.dumps(content, default=str)))
            self.get_logger().info(f"{report.model} learnt from {len(report.trained_on)} captures")
            self._end(Level.OK, "done", content)
            self._ask_for_reload()

    def _end(self, level: Level, message: str, values: dict[str, Any] | None = None) -> None:
        """Say how it ended, once ~/start may be called again."""
        self._busy, self._stage = False, ""
        self._say(level, message, values)

    def _retrain(self) -> tuple[RetrainReport, dict[str, Any]]:
        """Train; the report, and the model's figures."""
        category = self.parameters["category"]
        folder = Path(self.parameters["captures_dir"]).expanduser()
        captures = [path for path in find_captures([folder]) if read_info(path).category == category]
        if not captures:
            raise SurfposeError(f"{folder}: no capture of the category {category!r} in it")
        out = Path(self.parameters["output_dir"] or f"models/{category}").expanduser()
        work = Path(self.parameters["work_dir"] or f"work/{category}").expanduser()
        settings = self._settings()
        report = retrain(captures, category, out, work, settings, self._on_progress)
        return report, measure_own_frames(
            out, captures, work / "surfaces", settings.device, self._on_progress, settings.masks
        )

    def _settings(self) -> RetrainSettings:
        device = str(torch_device(self.parameters["device"]))
        train, masks = PRESETS[self.parameters["preset"]], self.parameters["masks"]
        front = self.parameters["front"] or None
        return RetrainSettings(train=train, masks=masks, device=device, front=front)

    def _on_progress(self, stage: str, done: int, total: int, note: str = "") -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if stage != self._stage:
            self._stage = stage
            self.get_logger().info(f"training: {stage}, {total} to do")
        self._say(Level.OK, stage, {"done": done, "total": total, "note": note})

    def _say(self, level: Level, message: str, values: dict[str, Any] | None = None) -> None:
        status = Status("training", level, message, values or {})
        self._reporter.report(status)
        self._progress_out.publish(diagnostic_array([status], self.get_clock().now().to_msg()))

    def _ask_for_reload(self) -> None:
        name = self.parameters["reload_service"]
        if not name:
            return
        client = self.create_client(Trigger, name)
        if client.service_is_ready():
            client.call_async(Trigger.Request())
        else:
            self.get_logger().info(f"nobody offers {name}; start pose_node with the new model")


def main() -> None:
    """Run the node."""
    run(RetrainNode)


if __name__ == "__main__":
    main()
