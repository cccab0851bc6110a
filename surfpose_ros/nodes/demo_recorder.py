"""Drives the demo's recording: puts one object after another on the simulated turntable and has
capture_node record some turns of each. Says each finished capture on standard output."""

from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from surfpose_ros.errors import SurfposeError
from surfpose_ros.nodes.demo_client import DemoClient, run_once
from surfpose_ros.nodes.parameters import Parameter, Parameters

PARAMETERS = (
    Parameter("seeds", [0, 1, 2], "Which parametric objects to record."),
    Parameter("names", ["mug_000", "mug_001", "mug_002"], "Names of their captures."),
    Parameter("turns", 3, "Recorded of each object, the camera higher at every one.", low=1, high=20),
    Parameter("timeout", 120.0, "Longest wait for a node or for an object's turns.", "s", 1.0, 3600.0),
)  # fmt: skip
SETTLED = 5  # pictures after which nothing of the object before is under way any more


class DemoRecorder(DemoClient):
    """Asks turntable_sim_node for objects and capture_node for recordings."""

    def __init__(self) -> None:
        super().__init__("demo_recorder")
        self.parameters = Parameters(self, PARAMETERS)
        self.timeout = self.parameters["timeout"]
        self._angles: list[float] = []
        self.create_subscription(JointState, "joint_states", self._on_joint, 100)

    def record_all(self) -> None:
        """Record every object.

        Raises:
            SurfposeError: a node does not answer in time, or refuses.
        """
        names, seeds = self.parameters["names"], self.parameters["seeds"]
        if len(names) != len(seeds):
            raise SurfposeError(f"demo_recorder: {len(seeds)} seeds but {len(names)} names")
        for seed, name in zip(seeds, names, strict=True):
            self.set_parameters_of("capture_node", object=name)
            self.set_parameters_of("turntable_sim_node", seed=seed)
            self._angles.clear()
            self.wait_for(lambda: len(self._angles) >= SETTLED, "pictures of turntable_sim_node")
            self._start()
            self._angles.clear()  # a busy machine may take long to start: only what is recorded counts
            self.wait_for(self._turned, f"the turns of {name}")
            print(self._trigger("stop"), flush=True)

    def _on_joint(self, message: JointState) -> None:
        self._angles.append(message.position[0])

    def _turned(self) -> bool:
        """Whether as many pictures were recorded as all turns have, wherever in a turn it began."""
        steps = zip(self._angles, self._angles[1:], strict=False)
        ends = [index for index, (before, after) in enumerate(steps) if after < before]
        if len(ends) < 2:
            return False
        pictures_a_turn = ends[1] - ends[0]
        return len(self._angles) >= self.parameters["turns"] * pictures_a_turn + SETTLED

    def _start(self) -> None:
        """Start recording; capture_node refuses while it does not hear the camera yet."""
        refusals: list[str] = []

        def started() -> bool:
            response = self.call(Trigger, "capture_node/start", Trigger.Request())
            refusals.append(response.message)
            return bool(response.success)

        if not self.spin_until(started, self.timeout):
            raise SurfposeError(f"capture_node: {refusals[-1]}")

    def _trigger(self, name: str) -> str:
        response = self.call(Trigger, f"capture_node/{name}", Trigger.Request())
        if not response.success:
            raise SurfposeError(f"capture_node: {response.message}")
        return str(response.message)


def main() -> None:
    """Run the node until everything is recorded."""
    run_once(DemoRecorder, DemoRecorder.record_all)


if __name__ == "__main__":
    main()
