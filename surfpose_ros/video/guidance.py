"""Tells a person who records how the capture is coming on: what was seen, is it sharp, is it enough.

The object is taken to be what moves in the picture, which on a turntable it is.
"""

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

AZIMUTH_BINS = 24
ELEVATION_BAND = 15.0  # degrees


@dataclass(frozen=True)
class GuidanceSettings:
    """When a capture is good enough.

    Attributes:
        rings: elevations that should be filmed all round.
        ring_share: share of a ring that makes it complete.
        min_frames: pictures to take where no view direction is known.
        blur_ratio: a picture is blurred below this share of the usual sharpness.
        clipped_share: a picture is badly exposed if more of it is black or white.
    """

    rings: int = 2
    ring_share: float = 0.9
    min_frames: int = 60
    blur_ratio: float = 0.4
    clipped_share: float = 0.25


@dataclass(frozen=True)
class Guidance:
    """How a capture is coming on.

    Attributes:
        frames: pictures looked at.
        coverage: ``(bands, AZIMUTH_BINS)`` bool: view directions seen sharply, by bands of elevation
            from -90 degrees up; all False where directions are not known.
        view: (azimuth, elevation) of the camera in degrees, in the frame of the object; None if unknown.
        sharpness: against the usual of this capture, 1 is as usual.
        dark: share of the picture that is black.
        bright: share that is white.
        centre: of the moving object as a share of width and height, (0.5, 0.5) the middle; None if
            nothing moves.
        size: its (width, height) as shares.
        advice: one line for the person.
        enough: the capture may be stopped.
    """

    frames: int
    coverage: np.ndarray
    view: tuple[float, float] | None
    sharpness: float
    dark: float
    bright: float
    centre: tuple[float, float] | None
    size: tuple[float, float] | None
    advice: str
    enough: bool

    @property
    def rings(self) -> dict[float, float]:
        """Share seen of each ring that was begun, by the middle of its band in degrees."""
        shares = self.coverage.mean(axis=1)
        return {
            -90 + ELEVATION_BAND * (band + 0.5): float(share)
            for band, share in enumerate(shares)
            if share > 0
        }


@dataclass
class CaptureGuide:
    """Looks at one picture after the other; a few a second are enough."""

    settings: GuidanceSettings = field(default_factory=GuidanceSettings)

    def __post_init__(self) -> None:
        self._frames = 0
        self._coverage = np.zeros((round(180 / ELEVATION_BAND), AZIMUTH_BINS), bool)
        self._sharpness: deque[float] = deque(maxlen=100)
        self._recent: deque[np.ndarray] = deque(maxlen=4)

    def add(self, image: np.ndarray, view: tuple[float, float] | None) -> Guidance:
        """Take in a picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            view: (azimuth, elevation) of the camera in degrees in the object's frame, if known.
        """
        grey = cv2.cvtColor(_small(image), cv2.COLOR_RGB2GRAY)
        sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
        self._sharpness.append(sharpness)
        relative = sharpness / max(float(np.median(self._sharpness)), 1e-6)
        dark, bright = float((grey < 8).mean()), float((grey > 247).mean())
        centre, size = self._moving(grey)
        self._frames += 1
        if view is not None and relative >= self.settings.blur_ratio:
            self._coverage[_bin(view)] = True
        enough = self._enough(view)
        advice = (
            self._exposure_advice(dark, bright)
            or (
                "blurred: hold still, turn slower, or give more light"
                if (relative < self.settings.blur_ratio)
                else ""
            )
            or _framing_advice(centre, size)
            or ("enough: stop here" if enough else self._coverage_advice(view))
        )
        return Guidance(
            self._frames, self._coverage.copy(), view, relative, dark, bright, centre, size, advice, enough
        )

    def _enough(self, view: tuple[float, float] | None) -> bool:
        if not self._coverage.any():
            return view is None and self._frames >= self.settings.min_frames
        complete = self._coverage.mean(axis=1) >= self.settings.ring_share
        return int(complete.sum()) >= self.settings.rings

    def _exposure_advice(self, dark: float, bright: float) -> str:
        if dark > self.settings.clipped_share:
            return f"too dark: {dark:.0%} of the picture is black"
        if bright > self.settings.clipped_share:
            return f"too bright: {bright:.0%} of the picture is white"
        return ""

    def _coverage_advice(self, view: tuple[float, float] | None) -> str:
        if view is None:
            return (
                f"keep turning: picture {self._frames} of {self.settings.min_frames} "
                "(no turntable angle and no TF, so coverage is not known)"
            )
        shares = self._coverage.mean(axis=1)
        band = _bin(view)[0]
        if shares[band] < self.settings.ring_share:
            return f"keep turning: {shares[band]:.0%} of the ring at {view[1]:.0f} degrees seen"
        done = int((shares >= self.settings.ring_share).sum())
        return f"ring {done} of {self.settings.rings} complete: raise or lower the camera by 20 degrees"

    def _moving(self, grey: np.ndarray) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
        """Centre and size, as shares of the picture, of what changed since some pictures ago."""
        before = self._recent[0] if self._recent else grey
        self._recent.append(grey)
        if before.shape != grey.shape:
            return None, None
        changed = cv2.absdiff(cv2.blur(grey, (3, 3)), cv2.blur(before, (3, 3))) > 12
        solid = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero(solid)
        if not 0.002 < len(rows) / grey.size < 0.5:  # nothing moves, or the camera does
            return None, None
        left, right = np.percentile(columns, [2, 98]) / grey.shape[1]
        top, bottom = np.percentile(rows, [2, 98]) / grey.shape[0]
        return ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)


class LookedAt:
    """The point that a moving camera circles: where its optical axes come nearest to each other."""

    SEEN_FROM_ASIDE = 0.02  # least mean square sine between the axes and their mean: about 8 degrees

    def __init__(self) -> None:
        self._across, self._offset, self._count = np.zeros((3, 3)), np.zeros(3), 0

    def add(self, base_from_camera: np.ndarray) -> None:
        """Take in one pose of the camera, rigid ``(4, 4)``."""
        axis, position = base_from_camera[:3, 2], base_from_camera[:3, 3]
        across = np.eye(3) - np.outer(axis, axis)
        self._across += across
        self._offset += across @ position
        self._count += 1

    def point(self) -> np.ndarray | None:
        """Least squares over all axes, ``(3,)`` in the base frame; None while they are all but parallel."""
        if not self._count or np.linalg.eigvalsh(self._across / self._count)[0] < self.SEEN_FROM_ASIDE:
            return None
        return np.linalg.solve(self._across, self._offset)


def view_direction(base_from_camera: np.ndarray, angle: float, centre: np.ndarray) -> tuple[float, float]:
    """(azimuth, elevation) in degrees of a camera as seen from an object on a turntable.

    Args:
        base_from_camera: rigid ``(4, 4)``, z of the base up.
        angle: of the turntable about z, radians; 0 for an object that stands still.
        centre: where the object is in the base frame, ``(3,)``.
    """
    x, y, z = base_from_camera[:3, 3] - centre
    azimuth = np.degrees(np.arctan2(y, x) - angle) % 360
    return float(azimuth), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def draw_guidance(image: np.ndarray, guidance: Guidance, recording: bool) -> np.ndarray:
    """The picture with the advice, the box of what moves, and a dial of the directions seen."""
    picture = image.copy()
    height, width = picture.shape[:2]
    unit = max(height / 480, 0.5)
    if guidance.centre and guidance.size:
        (cx, cy), (w, h) = guidance.centre, guidance.size
        first, last = (
            (round((cx + side * w / 2) * width), round((cy + side * h / 2) * height)) for side in (-1, 1)
        )
        cv2.rectangle(picture, first, last, (255, 210, 60), max(1, round(unit)), cv2.LINE_AA)
    _draw_dial(picture, guidance, unit)
    colour = (80, 220, 80) if guidance.enough else (255, 255, 255)
    cv2.rectangle(picture, (0, 0), (width, round(30 * unit)), (0, 0, 0), -1)
    if recording:
        cv2.circle(
            picture, (round(16 * unit), round(15 * unit)), round(7 * unit), (230, 30, 30), -1, cv2.LINE_AA
        )
    cv2.putText(picture, guidance.advice, (round(30 * unit), round(20 * unit)), cv2.FONT_HERSHEY_SIMPLEX,
                0.5 * unit, colour, max(1, round(unit)), cv2.LINE_AA)  # fmt: skip
    return picture


def _draw_dial(picture: np.ndarray, guidance: Guidance, unit: float) -> None:
    """Rings of directions seen from above the object; the highest elevation is the innermost."""
    height, width = picture.shape[:2]
    outer = 44 * unit
    middle = (round(width - outer - 10 * unit), round(height - outer - 10 * unit))
    bands = guidance.coverage[guidance.coverage.shape[0] // 2 :]  # from the horizon up
    step = outer / (len(bands) + 1)
    cv2.circle(picture, middle, round(outer + 3 * unit), (20, 20, 20), -1, cv2.LINE_AA)
    for band, row in enumerate(bands):
        radius = outer - (band + 0.5) * step
        for number, seen in enumerate(row):
            start = -360 * (number + 1) / AZIMUTH_BINS
            colour = (80, 220, 80) if seen else (70, 70, 70)
            cv2.ellipse(picture, middle, (round(radius),) * 2, 0, start + 1, start + 360 / AZIMUTH_BINS - 1,
                        colour, max(1, round(step * 0.7)), cv2.LINE_AA)  # fmt: skip
    if guidance.view:
        azimuth, elevation = np.radians(guidance.view)
        radius = outer * (1 - np.clip(elevation / (np.pi / 2), 0, 1) * 0.85)
        tip = (round(middle[0] + radius * np.cos(azimuth)), round(middle[1] - radius * np.sin(azimuth)))
        cv2.circle(picture, tip, round(4 * unit), (255, 255, 255), -1, cv2.LINE_AA)


def _framing_advice(centre: tuple[float, float] | None, size: tuple[float, float] | None) -> str:
    if centre is None or size is None:
        return ""
    if max(size) > 0.95:
        return "too close: the object reaches the edge of the picture"
    if max(size) < 0.15:
        return f"too far: the object fills only {max(size):.0%} of the picture"
    if max(abs(centre[0] - 0.5), abs(centre[1] - 0.5)) > 0.25:
        return "off centre: aim the camera at the object"
    return ""


def _bin(view: tuple[float, float]) -> tuple[int, int]:
    band = int(np.clip((view[1] + 90) // ELEVATION_BAND, 0, 180 / ELEVATION_BAND - 1))
    return band, int(view[0] % 360 / 360 * AZIMUTH_BINS) % AZIMUTH_BINS


def _small(image: np.ndarray, width: int = 320) -> np.ndarray:
    if image.shape[1] <= width:
        return image
    return cv2.resize(
        image, (width, round(image.shape[0] * width / image.shape[1])), interpolation=cv2.INTER_AREA
    )
