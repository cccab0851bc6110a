"""Objects over time: a name that stays, a smooth pose with its covariance, flips and outliers kept out.

Each track is a Kalman filter on SE(3) with constant velocity: error state (dp, dr, v, w), the rotation's
error a rotation vector in the camera frame, ``R = exp(dr) R_mean`` (Sola et al., "A micro Lie theory",
2018). Of an ambiguous detection the hypothesis nearest to the prediction is taken; a track changes its
mind only after repeated evidence, so symmetric objects neither spin nor flip to and fro.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from surfpose_ros.geometry.symmetry import CONTINUOUS, Symmetry
from surfpose_ros.pose.detection import Detection, PoseHypothesis


@dataclass(frozen=True)
class TrackedObject:
    """An object in the newest image.

    Attributes:
        name: ``<category>_<n>``, the same from image to image.
        detection: as the estimator gave it, its best hypothesis replaced by the filtered pose.
    """

    name: str
    detection: Detection


@dataclass(frozen=True)
class TrackingSettings:
    """How much a track believes its motion model and how long it lives.

    Attributes:
        acceleration: standard deviation of the unmodelled acceleration, object diagonals/s^2.
        angular_acceleration: the same of the rotation, rad/s^2.
        velocity_decay_s: an unseen object's speed falls to 1/e in this time.
        max_age_s: a track not seen for longer is forgotten.
        gate: squared Mahalanobis distance (3 degrees of freedom) above which a pose is an outlier.
        min_position_std: measurements are never believed better than this share of a diagonal.
        min_rotation_std: the same of the rotation, radians.
        doubt_limit: summed evidence (in log odds; an outlier counts 1) that makes a track start anew.
        doubt_decay: how much of the doubt an image leaves to the next.
    """

    acceleration: float = 2.0
    angular_acceleration: float = 1.5
    velocity_decay_s: float = 0.5
    max_age_s: float = 1.0
    gate: float = 16.27
    min_position_std: float = 0.02
    min_rotation_std: float = 0.05
    doubt_limit: float = 3.0
    doubt_decay: float = 0.9


@dataclass
class Track:
    """State of one object; lengths in the detection's unit, angles in radians.

    Attributes:
        name: ``<category>_<n>``.
        seen: when it was last, seconds.
        stamp: of the state.
        box: of its last detection, x, y, width, height in pixels.
        position: of its centre in the camera frame, ``(3,)``.
        rotation: ``camera_from_object``, ``(3, 3)``.
        velocity: linear and angular, ``(6,)``.
        covariance: of position, rotation and velocity, ``(12, 12)``.
        doubt: summed evidence against it, see `TrackingSettings`.
    """

    name: str
    seen: float
    stamp: float
    box: tuple[float, float, float, float]
    position: np.ndarray
    rotation: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    doubt: float = 0.0

    @property
    def followed(self) -> bool:
        """Whether it was seen in the last image."""
        return self.seen == self.stamp

    def position_at(self, stamp: float) -> np.ndarray:
        """Where its centre will be."""
        return self.position + self.velocity[:3] * (stamp - self.stamp)


@dataclass
class Tracker:
    """Turns the detections of each image into named objects; call `update` image by image.

    Attributes:
        settings: see there.
        symmetries: of the categories that have one.
    """

    settings: TrackingSettings = field(default_factory=TrackingSettings)
    symmetries: Mapping[str, Symmetry] = field(default_factory=dict)
    _tracks: dict[str, list[Track]] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget all objects."""
        self._tracks.clear()

    def update(self, stamp: float, detections: Sequence[Detection]) -> tuple[TrackedObject, ...]:
        """The objects of an image taken at `stamp` seconds, in the order of `detections`.

        A stamp before the last one (a clock set back, a bag played again) starts all over.
        """
        if any(stamp < track.stamp for tracks in self._tracks.values() for track in tracks):
            self.reset()
        self._tracks = self.alive(stamp)
        for category, tracks in self._tracks.items():
            for track in tracks:
                _predict(track, stamp, self._diagonal(category, detections), self.settings)
        named: dict[int, TrackedObject] = {}
        for category in sorted({detection.category for detection in detections}):
            numbers = [i for i, detection in enumerate(detections) if detection.category == category]
            for i, match in self._associate(category, [detections[i] for i in numbers]).items():
                named[numbers[i]] = self._follow(match, stamp, category, detections[numbers[i]])
        return tuple(named[i] for i in range(len(detections)))

    def alive(self, stamp: float) -> dict[str, list[Track]]:
        """The tracks of each category that are not forgotten by `stamp`."""
        oldest = stamp - self.settings.max_age_s
        return {
            category: [track for track in tracks if track.seen >= oldest]
            for category, tracks in self._tracks.items()
        }

    def _diagonal(self, category: str, detections: Sequence[Detection]) -> float:
        sizes = [np.linalg.norm(d.size) for d in detections if d.category == category]
        return float(np.mean(sizes)) if sizes else 1.0

    def _associate(self, category: str, detections: list[Detection]) -> dict[int, Track | None]:
        """The track of each detection, None where it is new, by the shift across the line of sight."""
        tracks = self._tracks.setdefault(category, [])
        cost = np.array([[_sideways(track, detection) for track in tracks] for detection in detections])
        matches: dict[int, Track | None] = dict.fromkeys(range(len(detections)))
        if tracks:
            for row, column in zip(*linear_sum_assignment(np.minimum(cost, 10.0)), strict=True):
                if cost[row, column] < 0.7:  # more than that and the two pictures hardly overlap
                    matches[int(row)] = tracks[column]
        return matches

    def _follow(
        self, track: Track | None, stamp: float, category: str, detection: Detection
    ) -> TrackedObject:
        first = detection.hypotheses[0]
        if track is None:
            track = _new_track(self._free_name(category), stamp, first, detection, self.settings)
            self._tracks[category].append(track)
            return TrackedObject(track.name, detection)
        track.seen, track.box = stamp, detection.box
        chosen = self._measure(track, detection)
        if track.doubt > self.settings.doubt_limit:
            new = _new_track(track.name, stamp, first, detection, self.settings)
            track.__dict__.update(new.__dict__)
            return TrackedObject(track.name, detection)
        others = tuple(h for h in detection.hypotheses if h is not chosen)
        filtered = PoseHypothesis(_pose(track), chosen.weight, track.covariance[:6, :6].copy())
        return TrackedObject(track.name, replace(detection, hypotheses=(filtered, *others)))

    def _measure(self, track: Track, detection: Detection) -> PoseHypothesis:
        """Correct the track by the hypothesis that suits it best, and note how doubtful that is."""
        symmetry = self.symmetries.get(detection.category, Symmetry())
        residuals = [_residual(track, hypothesis, symmetry) for hypothesis in detection.hypotheses]
        noises = [_noise(hypothesis, detection, self.settings) for hypothesis in detection.hypotheses]
        distances = [_distances(track, r, n) for r, n in zip(residuals, noises, strict=True)]
        weights = [hypothesis.weight for hypothesis in detection.hypotheses]
        inside = [i for i, d in enumerate(distances) if max(d) < self.settings.gate]
        best = min(inside or range(len(distances)), key=lambda i: sum(distances[i]))
        evidence = np.log(max(weights) / max(weights[best], 1e-6)) if inside else 1.0
        track.doubt = self.settings.doubt_decay * track.doubt + float(evidence)
        if inside:
            _correct(track, residuals[best], noises[best])
        return detection.hypotheses[best]

    def _free_name(self, category: str) -> str:
        taken = {track.name for track in self._tracks[category]}
        number = next(i for i in range(len(taken) + 1) if f"{category}_{i}" not in taken)
        return f"{category}_{number}"


def untracked(detections: Sequence[Detection]) -> tuple[TrackedObject, ...]:
    """Detections named by their rank in this image alone."""
    ranks: dict[str, int] = {}
    named = []
    for detection in detections:
        rank = ranks.get(detection.category, 0)
        ranks[detection.category] = rank + 1
        named.append(TrackedObject(f"{detection.category}_{rank}", detection))
    return tuple(named)


def nearest_equivalent(symmetry: Symmetry, rotation: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Of all rotations ``(3, 3)`` that look like `rotation`, the one nearest to `reference`."""
    if not symmetry:
        return rotation
    candidates = rotation @ symmetry.rotations(steps=1).numpy()
    if symmetry.order == CONTINUOUS:
        candidates = np.stack([_twisted(candidate, reference, symmetry.axis) for candidate in candidates])
    agreement = np.einsum("kij,ij->k", candidates, reference)  # trace of the product: 1 + 2 cos(angle)
    return candidates[agreement.argmax()]


def _twisted(rotation: np.ndarray, reference: np.ndarray, axis: tuple[float, float, float]) -> np.ndarray:
    """`rotation` turned about the object's axis until it is nearest to `reference`.

    The trace of ``m @ turn(angle)``, with m the rotation seen from the reference, is a cosine of the angle.
    """
    m, a = reference.T @ rotation, np.array(axis)
    skew = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    angle = np.arctan2(-skew @ a, np.trace(m) - a @ m @ a)
    return rotation @ Rotation.from_rotvec(angle * a).as_matrix()


def _new_track(
    name: str, stamp: float, hypothesis: PoseHypothesis, detection: Detection, settings: TrackingSettings
) -> Track:
    diagonal = float(np.linalg.norm(detection.size))
    covariance = np.zeros((12, 12))
    covariance[:6, :6] = _noise(hypothesis, detection, settings)
    covariance[6:9, 6:9] = np.eye(3) * diagonal**2
    covariance[9:, 9:] = np.eye(3)
    pose = hypothesis.camera_from_object
    position, rotation = pose[:3, 3].copy(), pose[:3, :3].copy()
    return Track(name, stamp, stamp, detection.box, position, rotation, np.zeros(6), covariance)


def _pose(track: Track) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = track.rotation, track.position
    return pose


def _predict(track: Track, stamp: float, diagonal: float, settings: TrackingSettings) -> None:
    """Constant velocity that dies down, driven by white acceleration noise."""
    dt = stamp - track.stamp
    if dt <= 0:
        return
    decay = np.exp(-dt / settings.velocity_decay_s)
    track.position = track.position_at(stamp)
    track.rotation = Rotation.from_rotvec(track.velocity[3:] * dt).as_matrix() @ track.rotation
    track.velocity = track.velocity * decay
    step = np.kron(np.array([[1.0, dt], [0.0, decay]]), np.eye(6))
    strength = np.repeat([(settings.acceleration * diagonal) ** 2, settings.angular_acceleration**2], 3)
    noise = np.kron(np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]), np.diag(strength))
    track.covariance = step @ track.covariance @ step.T + noise
    track.stamp = stamp


def _residual(track: Track, hypothesis: PoseHypothesis, symmetry: Symmetry) -> np.ndarray:
    """Measured minus predicted, ``(6,)``."""
    pose = hypothesis.camera_from_object
    rotation = nearest_equivalent(symmetry, pose[:3, :3], track.rotation)
    turn = Rotation.from_matrix(rotation @ track.rotation.T).as_rotvec()
    return np.concatenate([pose[:3, 3] - track.position, turn])


def _noise(hypothesis: PoseHypothesis, detection: Detection, settings: TrackingSettings) -> np.ndarray:
    """Measurement covariance ``(6, 6)`` with its floor."""
    floor = np.repeat(
        [settings.min_position_std * np.linalg.norm(detection.size), settings.min_rotation_std], 3
    )
    return np.asarray(hypothesis.covariance, np.float64) + np.diag(floor**2)


def _distances(track: Track, residual: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """Squared Mahalanobis distances of position and of rotation."""
    spread = track.covariance[:6, :6] + noise
    shift, turn = residual[:3], residual[3:]
    position = shift @ np.linalg.solve(spread[:3, :3], shift)
    rotation = turn @ np.linalg.solve(spread[3:, 3:], turn)
    return float(position), float(rotation)


def _correct(track: Track, residual: np.ndarray, noise: np.ndarray) -> None:
    covariance = track.covariance
    gain = np.linalg.solve(covariance[:6, :6] + noise, covariance[:6]).T
    change = gain @ residual
    track.position = track.position + change[:3]
    track.rotation = Rotation.from_rotvec(change[3:6]).as_matrix() @ track.rotation
    track.velocity = track.velocity + change[6:]
    keep = np.eye(12)
    keep[:, :6] -= gain
    track.covariance = keep @ covariance @ keep.T + gain @ noise @ gain.T  # Joseph's form stays symmetric


def _sideways(track: Track, detection: Detection) -> float:
    """Shift across the line of sight, in object diagonals: depth alone is too uncertain to tell objects."""
    measured = detection.hypotheses[0].camera_from_object[:3, 3]
    depth = max(measured[2], 1e-6)
    shift = measured[:2] / depth - track.position[:2] / max(track.position[2], 1e-6)
    return float(np.linalg.norm(shift) * depth / np.linalg.norm(detection.size))
