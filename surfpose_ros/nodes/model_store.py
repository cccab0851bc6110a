"""The category models that a pose_node looks for; new ones are loaded aside and swapped in whole."""

import gc
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from surfpose_ros.category.model import CategoryModel, load_category_models
from surfpose_ros.category.on_cpu import compiled_on_cpu
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError
from surfpose_ros.messages.diagnostics import Level, Status
from surfpose_ros.nodes.parameters import Parameters
from surfpose_ros.pose.estimator import EstimatorSettings, PoseEstimator


class ModelStore:
    """Loads what the parameters name, and keeps the estimator made of it.

    Attributes:
        models: loaded, by category.
        estimator: of the wanted categories; None before `load`. It is replaced, never changed.
    """

    def __init__(
        self, parameters: Parameters, report: Callable[[Status], None], changed: Callable[[], None]
    ) -> None:
        """`changed` is called, in any thread, after other models have taken over."""
        self.models: dict[str, CategoryModel] = {}
        self.estimator: PoseEstimator | None = None
        self._parameters = parameters
        self._report = report
        self._changed = changed
        self._thread: threading.Thread | None = None
        self._wanted_again = False
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the models that the parameters name, and take them.

        Raises:
            SurfposeError: none named, or one that cannot be loaded; those before stay.
        """
        folders = self._parameters["models"]
        if not folders:
            raise SurfposeError("no model: set the parameter models to folders made by `surfpose retrain`")
        device = torch_device(self._parameters["device"])
        loaded = load_category_models((Path(folder).expanduser() for folder in folders), device)
        if self._parameters["compile"]:
            loaded = compiled_on_cpu(loaded)
        models = {model.name: model for model in loaded}
        self.estimator = self._make_estimator(models)
        self.models = models
        self._report(Status("models", Level.OK, f"looking for {', '.join(models)}", _describe(loaded)))

    def load_later(self) -> None:
        """`load` in the background; errors go to the report."""
        with self._lock:
            self._wanted_again = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._load_aside, name="models", daemon=True)
                self._thread.start()

    def apply_settings(self) -> None:
        """Take over threshold, number of objects and categories."""
        try:
            self.estimator = self._make_estimator(self.models)
            self._report(Status("parameters", Level.OK, "in use"))
        except SurfposeError as error:
            self._report(Status("parameters", Level.ERROR, str(error)))

    def wait(self) -> None:
        """Until nothing is being loaded any more."""
        thread = self._thread
        if thread:
            thread.join()

    def release(self) -> None:
        """Let go of the models."""
        self.wait()
        self.estimator, self.models = None, {}
        gc.collect()  # networks hold cycles, and their memory should be free now rather than some time

    def _load_aside(self) -> None:
        while True:
            with self._lock:
                if not self._wanted_again:
                    self._thread = None
                    return
                self._wanted_again = False
            try:
                self.load()
                self._changed()
            except SurfposeError as error:
                kept = f"; still looking for {', '.join(self.models)}" if self.models else ""
                self._report(Status("models", Level.ERROR, f"{error}{kept}"))

    def _make_estimator(self, models: dict[str, CategoryModel]) -> PoseEstimator:
        wanted = self._parameters["categories"]
        unknown = sorted(set(wanted) - set(models))
        if unknown:
            raise SurfposeError(
                f"categories names {', '.join(unknown)}; there are models of {', '.join(models)}"
            )
        settings = EstimatorSettings(
            threshold=self._parameters["threshold"],
            max_objects=self._parameters["max_objects"],
            compiled=self._parameters["compile"],
        )
        chosen = [model for name, model in models.items() if not wanted or name in wanted]
        return PoseEstimator(chosen, settings)


def _describe(models: Sequence[CategoryModel]) -> dict[str, str]:
    return {
        model.name: f"{model.info.backbone} on {model.device}, "
        + (f"mean diagonal {model.size_m:.3f} m" if model.size_m else "no metric size")
        for model in models
    }
