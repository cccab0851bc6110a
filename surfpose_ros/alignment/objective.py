"""What the search minimises: D, saturated, and the cost of tilt where "up" is used."""

from torch import Tensor

from surfpose_ros.alignment.distances import Matches, Measure, mixed_distance
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.alignment.upright import tilt_cost


def pair_objective(
    shapes: Shapes, matches: Matches, target_from_source: Tensor, settings: AlignmentSettings
) -> Tensor:
    """Value ``(P, H)``, in diameters, of hypotheses ``(P, H, 4, 4)``; differentiable."""
    measure = Measure(settings.alpha, settings.saturation, settings.normals)
    distance = mixed_distance(shapes, matches, target_from_source, measure)
    if settings.mode == "up":
        distance = distance + tilt_cost(shapes, matches, target_from_source)
    return distance
