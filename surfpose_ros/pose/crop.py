"""Poses of one object in one crop: score all views, refine the best, keep the distinct ones."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from surfpose_ros.category.mirror import mirrored_vertices
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.geometry.rotations import toward
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.hypotheses import DISTANCE, ViewTable, tabulate_views, tabulate_visibility
from surfpose_ros.pose.refine import Evidence, Hypotheses, Refined, make_evidence, make_shape, refine
from surfpose_ros.pose.scoring import (
    evidence_maps,
    foreground_box,
    log_likelihoods,
    score_views,
    with_mirror_image,
)


@dataclass(frozen=True)
class SearchSettings:
    """How hypotheses are searched.

    Attributes:
        rolls_deg: rolls about upright that are tried.
        step_deg: angle between neighbouring view directions.
        starts: hypotheses refined.
        apart_deg: least angle between two starts.
        keep: hypotheses returned at most.
        distinct_deg: two refined hypotheses nearer than this are one.
        roll_std_deg: of the prior that cameras are upright.
        sigmas: in cells, of the refinement's rounds.
        effective_cells: how many independent cells an object is worth: turns mean log-likelihoods a
            cell into odds between hypotheses.
    """

    rolls_deg: tuple[float, ...] = (-45, -30, -15, 0, 15, 30, 45)
    step_deg: float = 12.0
    starts: int = 8
    apart_deg: float = 20.0
    keep: int = 4
    distinct_deg: float = 25.0
    roll_std_deg: float = 25.0
    sigmas: tuple[float, ...] = (3.0, 2.5, 2.0, 1.6, 1.3, 1.1, 1.0, 1.0)
    effective_cells: float = 20.0


@dataclass(frozen=True)
class CropPoses:
    """The distinct poses of one crop, best first.

    Attributes:
        hypotheses: refined, in template diagonals and crop cells.
        log_odds: relative log-probability of each, ``(K,)``.
        information: inverse covariance of (rotation, translation), ``(K, 6, 6)``.
        gain: mean log-likelihood a cell of the best over clutter alone, times the share of its visible
            surface that explains cells: the raw detection score.
    """

    hypotheses: Hypotheses
    log_odds: Tensor
    information: Tensor
    gain: float


class CropSearch:
    """Searches poses with one category model; keeps the model's view tables."""

    def __init__(self, model: CategoryModel, settings: SearchSettings | None = None) -> None:
        self.model, self.settings = model, settings or SearchSettings()
        device = model.device
        self.caster = RayCaster(model.template.mesh)
        visibility = tabulate_visibility(model.template)
        self.table: ViewTable = tabulate_views(
            model.template, visibility, self.settings.rolls_deg, self.settings.step_deg
        ).to(device)
        self.shape = make_shape(model.template, visibility.to(device))
        self.partner: Tensor | None = None
        if model.info.mirror is not None:
            vertices = torch.from_numpy(model.template.mesh.vertices).to(device)
            self.partner = mirrored_vertices(vertices, vertices.new_tensor(model.info.mirror))
        up = self.table.rotations[:, :, 2]
        rolls = torch.atan2(up[:, 0], -up[:, 1])
        steep = up[:, :2].norm(dim=-1)  # seen from straight above, roll means nothing
        spread = math.radians(self.settings.roll_std_deg)
        known = "up" in model.info.axes
        self._log_prior = -0.5 * (rolls / spread) ** 2 * steep if known else torch.zeros_like(rolls)

    def __call__(
        self,
        features: Tensor,
        intrinsics: Tensor | None,
        box: Tensor | None,
        mirrored: Tensor | None = None,
    ) -> CropPoses:
        """Poses of one object.

        Args:
            features: of the crop, unit, ``(D, h, w)``.
            intrinsics: of the crop's camera in cells, ``(3, 3)``; None if unknown.
            box: of the object in cells (low x, low y, high x, high y); None to take the foreground's.
            mirrored: features of the mirrored crop, for a category with a mirror plane.
        """
        log_probability = self.explained(features, mirrored)
        camera, known = crop_camera(intrinsics, features), intrinsics is not None
        starts = self.starts(log_probability, camera, box)
        evidence = self._evidence(log_probability, camera, known)
        refined = refine(starts, evidence, self.shape, self.settings.sigmas)
        per_cell = (refined.likelihood - evidence.clutter.log().sum()) / len(evidence.cells)
        log_odds = per_cell * self.settings.effective_cells + self._prior_of(refined.hypotheses)
        return self._distinct(refined, log_odds, per_cell * refined.coverage)

    def explained(self, features: Tensor, mirrored: Tensor | None) -> Tensor:
        """Log-probability of every vertex, and last of clutter, in every cell, ``(V + 1, h, w)``.

        Args:
            features: as of the search itself.
            mirrored: likewise.
        """
        if mirrored is None or self.partner is None:
            return log_likelihoods(self.model, features[None])[0]
        both = log_likelihoods(self.model, torch.stack([features, mirrored]))
        return with_mirror_image(both[:1], both[1:], self.partner)[0]

    def starts(self, log_probability: Tensor, camera: Tensor, box: Tensor | None) -> Hypotheses:
        """The best tabulated views, best first, before any refinement.

        Args:
            log_probability: of every vertex, and last of clutter, in every cell, ``(V + 1, h, w)``.
            camera: its intrinsics in cells, ``(3, 3)``.
            box: as of the search itself.
        """
        boxes = self._placements(1 - log_probability[-1].exp(), box)
        scores = score_views(evidence_maps(log_probability[None]), self.table, boxes[None])[0]
        score, placement = scores.max(dim=0)
        chosen = self._spread_starts(score * self.settings.effective_cells / 4 + self._log_prior)
        table = self.table
        return place_in_boxes(
            table.rotations[chosen],
            table.middles[chosen],
            table.extents[chosen],
            boxes[placement[chosen]],
            camera,
        )

    def _placements(self, foreground: Tensor, box: Tensor | None) -> Tensor:
        found = foreground_box(foreground)
        box = found if box is None else box.to(found)
        candidates = [box, found, (box + found) / 2]
        return torch.stack([candidate.float() for candidate in candidates])

    def _spread_starts(self, total: Tensor) -> Tensor:
        """The best hypotheses, each at least `apart_deg` from the better ones."""
        candidates = total.topk(min(400, len(total))).indices
        rotations = self.table.rotations[candidates].flatten(1)
        # The trace of A B^T is 1 + 2 cos of the angle between A and B.
        traces = (rotations @ rotations.T).cpu().numpy()
        near = traces > 1 + 2 * math.cos(math.radians(self.settings.apart_deg))
        free = np.ones(len(candidates), bool)
        chosen: list[int] = []
        while free.any() and len(chosen) < self.settings.starts:
            chosen.append(int(free.argmax()))
            free &= ~near[chosen[-1]]
        return candidates[chosen]

    def _evidence(self, log_probability: Tensor, camera: Tensor, known: bool) -> Evidence:
        foreground = 1 - log_probability[-1].exp()
        used = foreground > 0.1
        if used.sum() < 6:
            used = foreground >= foreground.flatten().topk(6).values[-1]
        row, column = used.nonzero(as_tuple=True)
        cells = torch.stack([column, row], dim=-1).float()
        return make_evidence(log_probability[:, row, column], cells, camera, known)

    def _prior_of(self, hypotheses: Hypotheses) -> Tensor:
        """The roll prior at the nearest tabulated rotation."""
        trace = torch.einsum("kij,nij->kn", hypotheses.rotation, self.table.rotations)
        return self._log_prior[trace.argmax(dim=-1)]

    def _distinct(self, refined: Refined, log_odds: Tensor, gain: Tensor) -> CropPoses:
        order = log_odds.argsort(descending=True)
        distinct = math.radians(self.settings.distinct_deg)
        rotations = refined.hypotheses.rotation[order].double().cpu()
        apart = self.model.symmetry.distance(rotations[:, None], rotations) > distinct
        kept: list[int] = []
        for index in range(len(order)):
            if len(kept) < self.settings.keep and all(apart[index, kept].tolist()):
                kept.append(index)
        chosen = order[kept]
        hypotheses, information = refined.hypotheses[chosen], refined.information[chosen]
        return CropPoses(hypotheses, log_odds[chosen], information, float(gain[chosen[0]]))


def crop_camera(intrinsics: Tensor | None, features: Tensor) -> Tensor:
    """The intrinsics in cells, ``(3, 3)``, of a crop's features ``(D, h, w)``; a long lens if unknown."""
    if intrinsics is not None:
        return intrinsics.float().to(features.device)
    height, width = features.shape[-2:]
    focal = 0.83 * width * DISTANCE / 0.9  # a diagonal at `DISTANCE` about fills the object's box
    rows = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return torch.tensor(rows, device=features.device)


def place_in_boxes(
    rotations: Tensor, middles: Tensor, extents: Tensor, boxes: Tensor, camera: Tensor
) -> Hypotheses:
    """Views of the template moved to where their outlines fill boxes.

    Args:
        rotations: camera_from_object, seen straight ahead, ``(K, 3, 3)``.
        middles: of the outlines' boxes at `DISTANCE`, as x/z and y/z, ``(K, 2)``.
        extents: their sides, ``(K, 2)``.
        boxes: (low x, low y, high x, high y) in cells, ``(K, 4)``.
        camera: its intrinsics in cells, ``(3, 3)``.
    """
    scale = ((boxes[:, 2:] - boxes[:, :2]) / extents).prod(dim=-1).sqrt()  # cells a unit of x/z
    focals = camera.diagonal()[:2]
    depth = DISTANCE * focals.prod().sqrt() / scale
    cells = (boxes[:, 2:] + boxes[:, :2]) / 2 - middles * scale[:, None]
    rays = torch.cat([(cells - camera[:2, 2]) / focals, torch.ones_like(cells[:, :1])], dim=-1)
    zero = torch.zeros_like(rays)
    translation = normalize(rays, dim=-1) * depth[:, None]
    return Hypotheses(toward(rays) @ rotations, translation, zero, zero[:, 0].clone())
