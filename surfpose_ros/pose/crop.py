"""Poses of one object in one crop: score all views, refine the best, keep the distinct ones."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surfpose_ros.category.mirror import mirrored_vertices
from surfpose_ros.category.model import CategoryModel
from surfpose_ros.geometry.visibility import RayCaster
from surfpose_ros.pose.hypotheses import ViewTable, tabulate_views, tabulate_visibility
from surfpose_ros.pose.placing import cell_positions, crop_camera, explaining_cells, place_in_boxes
from surfpose_ros.pose.pooling import suited
from surfpose_ros.pose.refine import (
    Evidence,
    Hypotheses,
    Refined,
    Steps,
    advance,
    make_evidence,
    make_shape,
    refine,
    settle,
)
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
    sigmas: tuple[float, ...] = (3.0, 2.0, 1.4, 1.0, 1.0)
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


@dataclass(frozen=True)
class Found:
    """Refined hypotheses of objects, as many of each.

    Attributes:
        refined: N of them.
        log_odds: relative log-probability, ``(N,)``.
        gain: see `CropPoses`, ``(N,)``.
        apart: whether each is another pose than each one of its object, ``(N, starts)`` bool.
    """

    refined: Refined
    log_odds: Tensor
    gain: Tensor
    apart: Tensor


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
        self._steps = Steps()
        self._turns = model.symmetry.rotations(360).float().to(device)
        self._sigmas = torch.tensor(self.settings.sigmas, device=device)
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
        known = intrinsics is not None
        boxes = None if box is None else box.to(features.device)[None]
        other = None if mirrored is None else mirrored[None]
        log_probability, intrinsics, boxes = self.read(features[None], other, intrinsics, boxes)
        camera = crop_camera(intrinsics, log_probability[0])[None]
        starts = self.starts(log_probability, camera, boxes)
        used = explaining_cells(log_probability)[0].flatten()
        cells = cell_positions(log_probability)[used]
        evidence = make_evidence(log_probability.flatten(2)[..., used], cells, camera, known)
        (poses,) = self.distinct(self.refined(starts, evidence))
        return poses

    def together(
        self, features: Tensor, intrinsics: Tensor, known: bool, boxes: Tensor, mirrored: Tensor | None
    ) -> Found:
        """What several crops show, with no wait for any value: what a GPU can record and repeat.

        Args:
            features: of the crops, unit, ``(B, D, h, w)``.
            intrinsics: of their cameras in cells, ``(B, 3, 3)``.
            known: whether they are more than assumed.
            boxes: of the objects in cells, ``(B, 4)``.
            mirrored: features of the mirrored crops, or None.
        """
        log_probability, cameras, outlines = self.read(features, mirrored, intrinsics, boxes)
        assert cameras is not None
        starts = self.starts(log_probability, cameras, outlines)
        return self.refined(starts, self.evidence(log_probability, cameras, known))

    def compile(self) -> None:
        """Let PyTorch compile what a search repeats: few large steps for a GPU in place of many small ones.

        It takes half a minute when something is first searched, and needs a C compiler.
        """
        self._steps = Steps(torch.compile(advance, dynamic=False), torch.compile(settle, dynamic=False))
        for name in ("read", "starts", "evidence", "weighed"):
            setattr(self, name, torch.compile(getattr(self, name), dynamic=False))

    def read(
        self, features: Tensor, mirrored: Tensor | None, cameras: Tensor | None, boxes: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What crops say in cells of the size that a search is made for: see `explained`; their cameras and
        the objects' boxes in these cells.
        """
        maps, mirrored, cameras, boxes = suited(features, mirrored, cameras, boxes)
        return self.explained(maps, mirrored), cameras, boxes

    def explained(self, features: Tensor, mirrored: Tensor | None) -> Tensor:
        """Log-probability of every vertex, and last of clutter, in every cell, ``(B, V + 1, h, w)``.

        Args:
            features: as of the search itself, of B crops.
            mirrored: likewise.
        """
        if mirrored is None or self.partner is None:
            return log_likelihoods(self.model, features)
        both = log_likelihoods(self.model, torch.cat([features, mirrored]))
        return with_mirror_image(both[: len(features)], both[len(features) :], self.partner)

    def evidence(self, log_probability: Tensor, cameras: Tensor, known: bool) -> Evidence:
        """What all cells say, those that show clutter left out; their number is fixed.

        Args:
            log_probability: as `explained` gives it.
            cameras: intrinsics in cells, ``(B, 3, 3)``.
            known: whether they are more than assumed.
        """
        cells = cell_positions(log_probability)
        found = make_evidence(log_probability.flatten(2), cells, cameras, known)
        # Cells that are left out are explained by nothing and need no explanation.
        used = explaining_cells(log_probability).flatten(1)
        return replace(
            found,
            probability=found.probability * used[:, None],
            clutter=found.clutter.where(used, torch.ones_like(found.clutter)),
        )

    def starts(self, log_probability: Tensor, cameras: Tensor, boxes: Tensor | None) -> Hypotheses:
        """The best tabulated views of each object, best first, before any refinement.

        Args:
            log_probability: of every vertex, and last of clutter, in every cell, ``(B, V + 1, h, w)``.
            cameras: intrinsics in cells, ``(B, 3, 3)``.
            boxes: as of the search itself, ``(B, 4)``.
        """
        places = self._placements(1 - log_probability[:, -1].exp(), boxes)
        scores = score_views(evidence_maps(log_probability), self.table, places)
        score, placement = scores.max(dim=1)
        chosen = self._spread_starts(score * self.settings.effective_cells / 4 + self._log_prior)
        table, each = self.table, self.settings.starts
        place = placement.gather(1, chosen)[..., None].expand(-1, -1, 4)
        return place_in_boxes(
            table.rotations[chosen].flatten(0, 1),
            table.middles[chosen].flatten(0, 1),
            table.extents[chosen].flatten(0, 1),
            places.gather(1, place).flatten(0, 1),
            cameras.repeat_interleave(each, dim=0),
        )

    def refined(self, starts: Hypotheses, evidence: Evidence) -> Found:
        """The starts refined, and how likely each is."""
        return self.weighed(refine(starts, evidence, self.shape, self._sigmas, self._steps), evidence)

    def weighed(self, refined: Refined, evidence: Evidence) -> Found:
        """How likely each refined hypothesis is, and what speaks for an object at all."""
        each, cells = self.settings.starts, (evidence.clutter < 1).sum(dim=-1)
        clutter = evidence.clutter.log().sum(dim=-1)
        per_cell = (refined.likelihood - clutter.repeat_interleave(each)) / cells.repeat_interleave(each)
        log_odds = per_cell * self.settings.effective_cells + self._prior_of(refined.hypotheses)
        return Found(
            refined, log_odds, per_cell * refined.coverage, self._apart(refined.hypotheses.rotation)
        )

    def _apart(self, rotations: Tensor) -> Tensor:
        """Which rotations ``(N, 3, 3)`` differ from those of the same object, ``(N, starts)``.

        As `Symmetry.distance` has it, whose turns would have to be brought to a GPU that records.
        """
        each = self.settings.starts
        turned = (rotations[:, None] @ self._turns).flatten(-2).unflatten(0, (-1, each)).flatten(1, 2)
        traces = turned @ rotations.flatten(-2).unflatten(0, (-1, each)).mT  # 1 + 2 cos of the angles
        nearest = traces.unflatten(1, (each, -1)).amax(dim=2)
        return (nearest < 1 + 2 * math.cos(math.radians(self.settings.distinct_deg))).flatten(0, 1)

    def distinct(self, found: Found) -> list[CropPoses]:
        """The poses of each object that differ, best first."""
        log_odds, apart = found.log_odds.tolist(), found.apart.tolist()
        poses = []
        for first in range(0, len(log_odds), self.settings.starts):
            kept: list[int] = []
            numbers = range(first, first + self.settings.starts)
            for number in sorted(numbers, key=lambda n: -log_odds[n]):
                if len(kept) < self.settings.keep and all(apart[number][k - first] for k in kept):
                    kept.append(number)
            poses.append(
                CropPoses(
                    found.refined.hypotheses[kept],
                    found.log_odds[kept],
                    found.refined.information[kept],
                    float(found.gain[kept[0]]),
                )
            )
        return poses

    def _placements(self, foreground: Tensor, boxes: Tensor | None) -> Tensor:
        found = foreground_box(foreground)
        boxes = found if boxes is None else boxes
        return torch.stack([boxes, found, (boxes + found) / 2], dim=1).float()

    def _spread_starts(self, total: Tensor) -> Tensor:
        """The best hypotheses of each object, ``(B, starts)``, each `apart_deg` from the better ones."""
        rotations = self.table.rotations.flatten(1)
        # The trace of A B^T is 1 + 2 cos of the angle between A and B.
        most = 1 + 2 * math.cos(math.radians(self.settings.apart_deg))
        chosen = []
        for _ in range(self.settings.starts):
            best = total.argmax(dim=1)
            chosen.append(best)
            total = total.masked_fill(rotations[best] @ rotations.T > most, -torch.inf)
        return torch.stack(chosen, dim=1)

    def _prior_of(self, hypotheses: Hypotheses) -> Tensor:
        """The roll prior at the nearest tabulated rotation."""
        trace = torch.einsum("kij,nij->kn", hypotheses.rotation, self.table.rotations)
        return self._log_prior[trace.argmax(dim=-1)]
