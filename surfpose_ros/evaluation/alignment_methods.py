"""Ways to turn surfaces onto each other, ours and those of others, under one interface for comparison.

A method takes surfaces and says how each pair is turned: ``target_from_source`` ``(P, 4, 4)`` between
normalised frames, the pairs in the order of `all_pairs`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surfpose_ros.alignment.distances import match_pairs, take
from surfpose_ros.alignment.hypotheses import sample_hypotheses
from surfpose_ros.alignment.joint import JointProblem, medoid, solve_jointly, star
from surfpose_ros.alignment.pairs import align_pairs, all_pairs
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.alignment.shapes import Shapes, prepare_shapes
from surfpose_ros.errors import MissingExtraError
from surfpose_ros.geometry.rotations import rotation_from_quaternion
from surfpose_ros.geometry.similarity import (
    compose_similarity,
    invert_similarity,
    similarity_from_points,
    transform_points,
)
from surfpose_ros.surface.surface import Surface

Method = Callable[[Sequence[Surface], int, str], Tensor]

# One-to-one as the paper describes it: no saturation, no normals, no refinement, best sample.
PAPER = AlignmentSettings(
    alpha=0.2, tau=0.9, saturation=np.inf, normals=0.0, refine_steps=0, hypotheses=1, mode="free"
)
BUDDY_INLIER = 0.1  # of a diameter


def one_to_one(settings: AlignmentSettings) -> Method:
    """Each pair by itself."""

    def method(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
        shapes, source, target = _pairs(surfaces, settings, device)
        return align_pairs(shapes, source, target, replace(settings, seed=seed)).target_from_source[:, 0]

    return method


def all_at_once(settings: AlignmentSettings) -> Method:
    """All pairs solved together, or all by the medoid, as the settings say."""

    def method(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
        shapes, source, target = _pairs(surfaces, settings, device)
        pairs = align_pairs(shapes, source, target, replace(settings, seed=seed))
        problem = JointProblem(shapes, pairs, settings)
        by_medoid = settings.reference == "medoid"
        common = star(problem, medoid(problem)) if by_medoid else solve_jointly(problem)
        return invert_similarity(common[target]) @ common[source]

    return method


def best_buddies(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
    """Zero-shot pose (Goodwin et al., ECCV 2022), on surfaces: mutual nearest neighbours in appearance,
    samples of four of them, and the similarity with the most inliers."""
    shapes, source, target = _pairs(surfaces, PAPER, device)
    matches = match_pairs(shapes, source, target, PAPER.tau)
    places = torch.arange(matches.forward.shape[1], device=matches.forward.device)
    mutual = (matches.backward.gather(1, matches.forward) == places) & shapes.seen[source]
    back = (matches.forward.gather(1, matches.backward) == places) & shapes.seen[target]
    buddies = replace(matches, source_weights=_shares(mutual), target_weights=_shares(back))
    generator = torch.Generator().manual_seed(seed)
    transforms, usable = sample_hypotheses(shapes, buddies, PAPER.samples, PAPER.scale_range, generator)
    moved = transform_points(transforms, shapes.vertices[source][:, None])
    off = (moved - take(shapes.vertices[target], matches.forward)[:, None]).norm(dim=-1)
    inliers = ((off < BUDDY_INLIER) & mutual[:, None]).sum(dim=-1).masked_fill(~usable, -1)
    return transforms[torch.arange(len(source)), inliers.argmax(dim=1)]


def icp(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
    """Iterative closest points with scale (Besl and McKay, PAMI 1992), best of the 24 turns of a cube."""
    shapes, source, target = _pairs(surfaces, PAPER, device)
    starts = compose_similarity(cube_turns().float().to(device), torch.zeros(24, 3, device=device))
    rows = []
    for s, t in zip(source, target, strict=True):
        points, there = shapes.vertices[s], shapes.vertices[t]
        points, there = points[shapes.weights[s] > 0], there[shapes.weights[t] > 0]
        transforms = starts
        for _ in range(30):
            moved = transform_points(transforms, points)
            nearest = there[torch.cdist(moved, there.expand(24, -1, -1)).argmin(dim=2)]
            transforms = similarity_from_points(points.expand(24, -1, -1), nearest)
        between = torch.cdist(transform_points(transforms, points), there.expand(24, -1, -1))
        chamfer = between.amin(dim=2).mean(dim=1) + between.amin(dim=1).mean(dim=1)
        rows.append(transforms[chamfer.argmin()])
    return torch.stack(rows)


def fpfh_ransac(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
    """RANSAC over matches of fast point feature histograms (Rusu et al., ICRA 2009), by Open3D."""
    o3d = _open3d()
    registration = o3d.pipelines.registration
    o3d.utility.random.seed(seed)

    def register(first: tuple[Any, Any], second: tuple[Any, Any]) -> np.ndarray:
        return registration.registration_ransac_based_on_feature_matching(
            first[0],
            second[0],
            first[1],
            second[1],
            True,
            0.05,
            registration.TransformationEstimationPointToPoint(True),
            4,
            [registration.CorrespondenceCheckerBasedOnDistance(0.05)],
            registration.RANSACConvergenceCriteria(100_000, 0.999),
        ).transformation

    return _by_fpfh(surfaces, device, register)


def fast_global(surfaces: Sequence[Surface], seed: int, device: str) -> Tensor:
    """Fast global registration (Zhou et al., ECCV 2016) of the same histograms, by Open3D."""
    o3d = _open3d()
    registration = o3d.pipelines.registration
    o3d.utility.random.seed(seed)
    option = registration.FastGlobalRegistrationOption(maximum_correspondence_distance=0.05)

    def register(first: tuple[Any, Any], second: tuple[Any, Any]) -> np.ndarray:
        return registration.registration_fgr_based_on_feature_matching(
            first[0], second[0], first[1], second[1], option
        ).transformation

    return _by_fpfh(surfaces, device, register)


def cube_turns() -> Tensor:
    """The 24 rotations of a cube ``(24, 3, 3)`` float64."""
    steps = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * 4).double()
    turns: list[Tensor] = []
    for rotation in rotation_from_quaternion(steps[steps.abs().sum(dim=1) > 0]):
        signed = (rotation.abs() > 1 - 1e-6) | (rotation.abs() < 1e-6)
        if signed.all() and not any(torch.allclose(rotation, other, atol=1e-6) for other in turns):
            turns.append(rotation)
    return torch.stack(turns)


def _by_fpfh(
    surfaces: Sequence[Surface], device: str, register: Callable[..., np.ndarray], points: int = 2000
) -> Tensor:
    o3d = _open3d()
    shapes, source, target = _pairs(surfaces, PAPER, device)
    clouds = []
    for surface, pose in zip(surfaces, shapes.normalised_from_video.cpu().numpy(), strict=True):
        mesh = surface.mesh.transformed(pose)
        solid = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(mesh.vertices.astype(float)), o3d.utility.Vector3iVector(mesh.faces)
        )
        solid.compute_vertex_normals()
        cloud = solid.sample_points_uniformly(points, use_triangle_normal=True)
        near = o3d.geometry.KDTreeSearchParamHybrid(radius=0.15, max_nn=150)
        clouds.append((cloud, o3d.pipelines.registration.compute_fpfh_feature(cloud, near)))
    found = [register(clouds[s], clouds[t]) for s, t in zip(source.tolist(), target.tolist(), strict=True)]
    return torch.from_numpy(np.stack(found)).float()


def _open3d() -> Any:
    try:
        import open3d
    except ImportError:
        raise MissingExtraError("open3d", extra="open3d", purpose="registration by FPFH") from None
    return open3d


def _pairs(
    surfaces: Sequence[Surface], settings: AlignmentSettings, device: str
) -> tuple[Shapes, Tensor, Tensor]:
    source, target = all_pairs(len(surfaces), device)
    return prepare_shapes(surfaces, settings, device), source, target


def _shares(chosen: Tensor) -> Tensor:
    return chosen / chosen.sum(dim=1, keepdim=True).clamp_min(1)
