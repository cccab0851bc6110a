"""Everything of the alignment that can be chosen, with what was measured to hold across categories."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from surfpose_ros.errors import SurfposeError

Features = Literal["mean", "set"]
Mode = Literal["free", "up"]
Reference = Literal["all", "medoid"]


@dataclass(frozen=True)
class AlignmentSettings:
    """How surfaces are aligned; docs/benchmarks/alignment.md shows what each choice is worth.

    Attributes:
        alpha: share of the appearance in D, 0 (geometry only) to 1 (appearance only). The paper's 0.2 is
            for plain distances; saturated ones, of which most matches count little, ask for 0.5.
        tau: temperature of the cycle weights, in diameters.
        saturation: distance, in diameters, at which a vertex counts half of what it would: a head that
            is turned or a missing leg then no longer tilts the rest; infinite is the paper's plain D.
        last_saturation: the same for the last descent, over all pairs. First wide, so that objects which
            differ all over still find the right way round, then narrow, so that like parts lie exactly.
        normals: how many diameters of distance normals count that are a radian apart: vertices that look
            another way then are no match, wherever they lie; 0 is the paper's plain D.
        features: "mean" matches the vertices' mean features, "set" the paper's sets of view features.
        samples: random samples of four matches a pair.
        hypotheses: distinct best transforms a pair that are refined and handed on.
        refine_steps: steps of descent on D from each of them; 0 keeps them as sampled.
        scale_range: admitted ratio of the sizes of two surfaces, each first scaled to diameter one.
        mode: "up" uses what the surfaces know of the vertical, by its uncertainty, where they know it;
            "free" never does.
        reference: "all" solves all pairs at once; "medoid" takes every video to the most central one.
        joint_steps: steps of descent on the sum of D over all pairs, with reference "all".
        field_size: cells along each side of a surface's distance field.
        seed: of every random choice.
    """

    alpha: float = 0.5
    tau: float = 0.9
    saturation: float = 0.1
    last_saturation: float = 0.05
    normals: float = 0.05
    features: Features = "mean"
    samples: int = 1000
    hypotheses: int = 4
    refine_steps: int = 30
    scale_range: tuple[float, float] = (0.6, 1.67)
    mode: Mode = "up"
    reference: Reference = "all"
    joint_steps: int = 100
    field_size: int = 56
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise SurfposeError(f"alpha is {self.alpha:g}; it is a share between 0 and 1")
        if not self.tau > 0:
            raise SurfposeError(f"tau is {self.tau:g}; it must be above zero")
        if not min(self.saturation, self.last_saturation) > 0:
            least = min(self.saturation, self.last_saturation)
            raise SurfposeError(f"saturation is {least:g}; it must be above zero")
        if not self.normals >= 0:
            raise SurfposeError(f"normals is {self.normals:g}; it must not be below zero")
        for name, value, allowed in (
            ("features", self.features, get_args(Features)),
            ("mode", self.mode, get_args(Mode)),
            ("reference", self.reference, get_args(Reference)),
        ):
            if value not in allowed:
                raise SurfposeError(f"{name} is {value!r}; choose {' or '.join(allowed)}")
        if self.samples < 1 or self.hypotheses < 1:
            raise SurfposeError("samples and hypotheses must be at least 1")
        if not 0 < self.scale_range[0] < 1 < self.scale_range[1]:
            raise SurfposeError(f"scale range {self.scale_range} must hold 1 inside and begin above 0")

    def as_dict(self) -> dict[str, Any]:
        """All settings, for the alignment file."""
        return asdict(self)


def settings_of(**values: Any) -> AlignmentSettings:
    """Settings from plain values, as a command line or a file has them.

    Raises:
        SurfposeError: a value that is not admitted.
    """
    return AlignmentSettings(**values)
