"""Procedural pictures: what is painted on simulated objects, tables and walls; all drawn from `rng`."""

import colorsys
from collections.abc import Callable

import cv2
import numpy as np


def random_colour(rng: np.random.Generator, value: tuple[float, float] = (0.15, 1.0)) -> np.ndarray:
    """An RGB colour, ``(3,)`` in 0..255; half of them greyish, as most things are."""
    saturation = rng.uniform(0.0, 0.25) if rng.random() < 0.5 else rng.uniform(0.35, 0.95)
    return 255 * np.array(colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(*value)))


def muted(colour: np.ndarray) -> np.ndarray:
    """The colour with most of its saturation gone, as walls and tables have it."""
    return np.asarray(0.3 * colour + 0.7 * colour.mean())


def flat(colour: np.ndarray) -> np.ndarray:
    """A small picture of one colour ``(3,)`` in 0..255."""
    return np.broadcast_to(np.clip(colour, 0, 255), (2, 2, 3)).astype(np.uint8)


def fractal_noise(rng: np.random.Generator, height: int, width: int, roughness: float = 0.55) -> np.ndarray:
    """Smooth noise of all scales, ``(H, W)`` float32 in 0..1; wraps round sideways."""
    total = np.zeros((height, width), np.float32)
    cells, amplitude = 2, 1.0
    while cells <= max(height, width) // 2:
        grid = rng.random((cells, cells)).astype(np.float32)
        grid = np.concatenate([grid, grid, grid], axis=1)
        wide = cv2.resize(grid, (3 * width, height), interpolation=cv2.INTER_CUBIC)
        total += amplitude * wide[:, width : 2 * width]
        amplitude *= roughness
        cells *= 2
    low, high = np.percentile(total, [1, 99])
    return np.clip((total - low) / max(high - low, 1e-6), 0, 1)


def plain(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """One colour."""
    return np.broadcast_to(colours[0], (size, size, 3)).astype(np.float32)


def bands(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """Horizontal bands."""
    picture = plain(rng, colours, size).copy()
    for _ in range(rng.integers(1, 4)):
        start, width = rng.uniform(0.05, 0.85), rng.uniform(0.03, 0.3)
        picture[int(start * size) : int((start + width) * size)] = colours[rng.integers(1, len(colours))]
    return picture


def stripes(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """Upright or slanting stripes."""
    v, u = np.mgrid[:size, :size] / size
    count, slant = rng.integers(4, 16), rng.choice([0, 0, 1, 2])
    return colours[1 - ((count * u + slant * v) % 1 < rng.uniform(0.2, 0.6)).astype(int)].astype(np.float32)


def checks(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """A chequerboard."""
    v, u = np.mgrid[:size, :size] / size
    count = rng.integers(4, 12)
    return colours[((2 * count * u).astype(int) + (count * v).astype(int)) % 2].astype(np.float32)


def dots(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """Dots of one or several colours, in rows or strewn."""
    picture = np.ascontiguousarray(plain(rng, colours, size))
    radius = int(size * rng.uniform(0.015, 0.05))
    if rng.random() < 0.5:
        step = int(radius * rng.uniform(2.6, 4.5))
        centres = [
            (x + (y // step % 2) * step // 2, y) for y in range(0, size, step) for x in range(0, size, step)
        ]
    else:
        centres = [(int(x), int(y)) for x, y in size * rng.random((rng.integers(15, 60), 2))]
    for centre in centres:
        colour = colours[rng.integers(1, len(colours))]
        cv2.circle(picture, centre, radius, colour.tolist(), -1, cv2.LINE_AA)
    return picture


def print_(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """A print on one or two sides: a shape and a word."""
    picture = np.ascontiguousarray(plain(rng, colours, size))
    ink = colours[1].tolist()
    for centre in rng.permutation([0.25, 0.75])[: rng.integers(1, 3)]:
        x, y, r = (
            int(centre * size),
            int(rng.uniform(0.35, 0.6) * size),
            int(rng.uniform(0.06, 0.13) * size),
        )
        corners = rng.integers(3, 9)
        angles = np.arange(corners) * 2 * np.pi / corners + rng.random()
        outline = np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], axis=1).astype(np.int32)
        cv2.fillPoly(picture, [outline], ink, cv2.LINE_AA)
        word = "".join(rng.choice(list("ABCEFHKLMNOPRSTUVXYZ"), rng.integers(3, 7)))
        where = (x - int(0.1 * size), y + r + int(0.1 * size))
        cv2.putText(
            picture, word, where, cv2.FONT_HERSHEY_DUPLEX, size / 420, colours[-1].tolist(), 3, cv2.LINE_AA
        )
    return picture


def speckle(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """Stoneware: a glaze with small dark specks."""
    picture = plain(rng, colours, size) * (0.85 + 0.15 * fractal_noise(rng, size, size))[..., None]
    specks = cv2.GaussianBlur(rng.random((size, size)).astype(np.float32), (0, 0), 1.2)
    return np.where((specks > np.quantile(specks, 0.985))[..., None], 0.35 * colours[1], picture)


def marble(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """Two colours that run into each other."""
    share = fractal_noise(rng, size, size, roughness=0.6)[..., None]
    return share * colours[0] + (1 - share) * colours[1]


def glaze(rng: np.random.Generator, colours: np.ndarray, size: int) -> np.ndarray:
    """One colour that turns into another from top to bottom, the border a little wavy."""
    wave = 0.08 * (fractal_noise(rng, size, size)[size // 2] - 0.5)
    v = np.mgrid[:size, :size][0] / size + wave
    share = 1 / (1 + np.exp((v - rng.uniform(0.3, 0.7)) / rng.uniform(0.01, 0.15)))[..., None]
    return share * colours[0] + (1 - share) * colours[1]


PATTERNS: tuple[Callable[[np.random.Generator, np.ndarray, int], np.ndarray], ...] = (
    plain, plain, bands, stripes, checks, dots, print_, print_, speckle, marble, glaze,
)  # fmt: skip


def rings(rng: np.random.Generator, size: int = 512, base: np.ndarray | None = None) -> np.ndarray:
    """A picture ``(size, size, 3)`` uint8 that is the same all round: one colour, bands, or a glaze."""
    colours = np.stack([random_colour(rng) for _ in range(4)])
    if base is not None:
        colours[0] = base
    picture = (plain, bands, bands, glaze)[rng.integers(4)](rng, colours, size)
    # The glaze's border is wavy: what is to be the same all round is taken from one column.
    return np.repeat(np.clip(picture[:, :1], 0, 255).astype(np.uint8), size, axis=1)


def random_pattern(rng: np.random.Generator, size: int = 512, base: np.ndarray | None = None) -> np.ndarray:
    """A picture ``(size, size, 3)`` uint8 that wraps round sideways, mostly of colour `base` if given."""
    colours = np.stack([random_colour(rng) for _ in range(4)])
    if base is not None:
        colours[0] = base
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    return np.clip(pattern(rng, colours, size), 0, 255).astype(np.uint8)
