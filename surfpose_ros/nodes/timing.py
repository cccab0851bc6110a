"""How long images take from the camera's stamp to the published pose, and where the time goes."""

from collections import deque

import numpy as np

from surfpose_ros.messages.diagnostics import Level, Status


class Timing:
    """The last images' latency and stages.

    Attributes:
        count: images so far.
    """

    def __init__(self, kept: int = 50) -> None:
        self.count = 0
        self._latencies: deque[float] = deque(maxlen=kept)
        self._stages: deque[dict[str, float]] = deque(maxlen=kept)

    def add(self, latency: float, stages: dict[str, float]) -> None:
        """Take in one image's figures, seconds."""
        self.count += 1
        self._latencies.append(latency)
        self._stages.append(stages)

    def last_ms(self, dropped: int) -> dict[str, float]:
        """Figures of the last image in milliseconds, and the number of dropped images."""
        stages = {name: 1e3 * value for name, value in self._stages[-1].items()}
        return {"end_to_end": 1e3 * self._latencies[-1], **stages, "dropped": dropped}

    def status(self, warn_s: float, stale_s: float, dropped: int) -> Status:
        """For /diagnostics: medians and the worst of the last images."""
        latency = float(np.median(self._latencies))
        names = list(self._stages[-1])
        medians = {
            f"{name} [ms]": 1e3 * float(np.median([stages.get(name, 0.0) for stages in self._stages]))
            for name in names
        }
        newest, work = self._latencies[-1], sum(self._stages[-1].values())
        values = {
            "end to end [ms]": 1e3 * latency,
            "worst [ms]": 1e3 * max(self._latencies),
            **medians,
            "images": self.count,
            "dropped": dropped,
        }
        if newest < 0 or newest - work > stale_s:
            message = (
                f"the last stamp was {newest:.1f} s old, of which {work:.2f} s were spent here: do the "
                "clocks agree, and is use_sim_time right?"
            )
            return Status("latency", Level.WARN, message, values)
        if latency > warn_s:
            return Status("latency", Level.WARN, f"slower than {warn_s:g} s", values)
        return Status("latency", Level.OK, "as it should be", values)
