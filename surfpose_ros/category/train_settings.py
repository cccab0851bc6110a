"""How categories are trained, and the presets that have names."""

from dataclasses import dataclass, field
from typing import Literal

from surfpose_ros.backbones.registry import DEFAULT_BACKBONE
from surfpose_ros.category.augment import Augmentation


@dataclass(frozen=True)
class TrainSettings:
    """How a category is trained; the defaults are for a GPU or a patient CPU.

    Attributes:
        backbone: name in the registry.
        steps: of the optimiser.
        batch: images a step.
        input_size: side of the network's input, pixels.
        dimension: of a surface feature.
        vertices: of the template, about.
        clutter: number of clutter features.
        soft_sigma: spread of a vertex label, in object diagonals.
        clutter_weight: of clutter cells beside object cells.
        place_weight: of the loss on the object's box.
        head_rate, vertex_rate, backbone_rate: learning rates at the start; cosine to zero.
        weight_decay: of AdamW, on the network only.
        augmentation: see `Augmentation`.
        calibration: pictures on which the scores are calibrated.
        seed: two runs with one seed on one device give the same model.
    """

    backbone: str = DEFAULT_BACKBONE
    steps: int = 600
    batch: int = 64
    input_size: int = 224
    dimension: int = 128
    vertices: int = 500
    clutter: int = 8
    soft_sigma: float = 0.02
    clutter_weight: float = 0.3
    place_weight: float = 0.2
    head_rate: float = 1e-3
    vertex_rate: float = 3e-3
    backbone_rate: float = 1e-3
    weight_decay: float = 1e-2
    augmentation: Augmentation = field(default_factory=Augmentation)
    calibration: int = 160
    seed: int = 0


Preset = Literal["quick", "full", "long"]
# "quick" is for the demo and for a first look: a few minutes on two cores, and no time to learn much of
# objects under patches or of other tones. "long" takes a GPU some five minutes; "full" is for who has none.
PRESETS: dict[Preset, TrainSettings] = {
    "long": TrainSettings(steps=2400),
    "full": TrainSettings(),
    "quick": TrainSettings(
        steps=480,
        batch=12,
        backbone_rate=4e-4,
        augmentation=Augmentation(patches=0.25, tone=0.0),
        calibration=50,
    ),
}
