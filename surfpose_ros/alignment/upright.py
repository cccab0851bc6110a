"""What "up" says about a pair: hypotheses are set upright, and tilt costs by its uncertainty."""

import torch
from torch import Tensor

from surfpose_ros.alignment.distances import Matches, saturated
from surfpose_ros.alignment.shapes import Shapes
from surfpose_ros.geometry.rotations import rotation_from_quaternion
from surfpose_ros.geometry.similarity import decompose_similarity

# What a tilt of one standard deviation costs, in diameters: small beside the D of a good pair (0.01 to
# 0.03), so that shapes which say clearly otherwise may tilt by some of them.
TILT_COST = 0.0005
# What any tilt costs at most: an object that was laid on its side in one video has a D there that is lower
# by more.
MOST_TILT_COST = 0.01


def set_upright(shapes: Shapes, matches: Matches, target_from_source: Tensor) -> Tensor:
    """Hypotheses ``(P, H, 4, 4)``, each turned about the source's centroid by the smallest rotation
    that takes the source's up onto the target's; as they were where either is not known."""
    rotation, translation, _ = decompose_similarity(target_from_source)
    moved = rotation @ shapes.up[matches.source][:, None, :, None]
    wanted = shapes.up[matches.target][:, None].expand_as(moved[..., 0])
    cosine = (moved[..., 0] * wanted).sum(dim=-1, keepdim=True)
    turn = rotation_from_quaternion(
        torch.cat([1 + cosine, torch.linalg.cross(moved[..., 0], wanted)], dim=-1)
    )
    upright = target_from_source.clone()
    # The centroid is the origin of the source's normalised frame: the translation is its image.
    upright[..., :3, :3] = turn @ target_from_source[..., :3, :3]
    upright[..., :3, 3] = translation
    known = (shapes.up_known[matches.source] & shapes.up_known[matches.target])[:, None, None, None]
    return torch.where(known, upright, target_from_source)


def tilt_cost(shapes: Shapes, matches: Matches, target_from_source: Tensor) -> Tensor:
    """Cost ``(P, H)`` of the angle between the source's up and the target's; zero where not known."""
    rotation = decompose_similarity(target_from_source)[0]
    moved = (rotation @ shapes.up[matches.source][:, None, :, None])[..., 0]
    square = (moved - shapes.up[matches.target][:, None]).square().sum(dim=-1)
    variance = shapes.up_sigma[matches.source].square() + shapes.up_sigma[matches.target].square()
    known = shapes.up_known[matches.source] & shapes.up_known[matches.target]
    return saturated(TILT_COST * square / variance[:, None], MOST_TILT_COST) * known[:, None]
