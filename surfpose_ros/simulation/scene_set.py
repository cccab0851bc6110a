"""A folder of in-the-wild pictures with a labels CSV."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.simulation.labels import LabelledImages
from surfpose_ros.simulation.objects import SimulatedObject, resized
from surfpose_ros.simulation.scenes import SceneSettings, make_scene


def simulate_scenes(
    objects: Sequence[Callable[[], SimulatedObject]],
    out: Path,
    count: int,
    seed: int,
    settings: SceneSettings | None = None,
    size_spread: float = 0.0,
    depth: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write `count` scenes, the objects taking turns, and their `labels.csv`; returns its path.

    Args:
        objects: make the objects; each is called for its first scene only.
        out: folder for the pictures, masks and labels.
        count: number of pictures.
        seed: scene i follows from it and from i.
        settings: how hard the scenes are.
        size_spread: each scene's object is larger or smaller by up to this share.
        depth: write depth pictures too.
        progress: told of each scene.
    """
    made: dict[int, SimulatedObject] = {}
    images = LabelledImages(out)
    for index in track(range(count), progress, "scenes", count):
        which = index % len(objects)
        if which not in made:
            made[which] = objects[which]()
        scene_seed = 100_003 * seed + index
        factor = 1 + size_spread * np.random.default_rng([scene_seed, 5]).uniform(-1, 1)
        item = resized(made[which], factor)
        scene = make_scene(item, scene_seed, settings)
        images.add(
            f"{item.category}/{index:05d}.jpg", scene.image, scene.mask, scene.camera,
            scene.camera_from_object, item.category, item.name, scene.size, scene.visible,
            scene.front_seen, scene.box, scene.depth if depth else None,
        )  # fmt: skip
    return images.write()
