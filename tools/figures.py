"""Draw the figures of docs/how_it_works.md from the outputs of a demo, with the package's own drawing.

`surfpose demo --out demo` (or `make demo`), then `python tools/figures.py demo`.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from surfpose_ros.category.augment import CROP_MARGIN
from surfpose_ros.category.model import CategoryModel, load_category_model
from surfpose_ros.category.views import box_crop
from surfpose_ros.evaluation.samples import PoseSample, samples_from_labels
from surfpose_ros.pose.drawing import draw_result
from surfpose_ros.pose.estimator import PoseEstimator
from surfpose_ros.pose.scoring import log_likelihoods
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable
from surfpose_ros.surface.picture import TILE, draw_mesh
from surfpose_ros.video.guidance import CaptureGuide, draw_guidance, view_direction
from surfpose_ros.video.labels import read_labels

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SIDE = 320
UP = np.array([0.0, 0.0, 1.0])


def main() -> None:
    """Write one picture a stage into docs/images."""
    demo = Path(sys.argv[1])
    names = sorted(path.stem for path in (demo / "work" / "surfaces").glob("*.safetensors"))
    model = load_category_model(demo / "models" / "mug")
    samples = samples_from_labels(read_labels(demo / "scenes" / "labels.csv", demo / "scenes"))
    write("stage_video.jpg", video())
    surface = cv2.imread(str(demo / "work" / "surfaces" / f"{names[0]}.png"))[-2 * TILE :, :, ::-1]
    write("stage_surface.jpg", surface)  # without the lines of text
    write("stage_alignment.jpg", cv2.imread(str(demo / "work" / "alignment.png"))[..., ::-1])
    write("stage_category.jpg", category(model, samples[1]))
    write("stage_pose.jpg", pose(model, samples[:3]))


def write(name: str, image: np.ndarray) -> None:
    """Write an RGB picture, at most 1200 pixels wide."""
    if image.shape[1] > 1200:
        image = cv2.resize(image, None, fx=(f := 1200 / image.shape[1]), fy=f, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(IMAGES / name), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")


def video() -> np.ndarray:
    """What capture_node's preview shows at three moments of a recording."""
    table, guide = Turntable(make_object("mug", 0), seed=0), CaptureGuide()
    elevations = table.settings.elevations
    pictures = []
    for index in range(2 * 36 + 1):
        elevation, angle = elevations[min(index // 36, 1)], 2 * np.pi * (index % 36) / 36
        image = table.frame(angle, elevation).image
        view = view_direction(table.base_from_camera(elevation), angle, np.zeros(3))
        guidance = guide.add(image, view)
        if guidance.enough or index in (12, 50):
            pictures.append(draw_guidance(image, guidance, recording=True))
        if guidance.enough:
            break
    return np.hstack(pictures)


def category(model: CategoryModel, sample: PoseSample) -> np.ndarray:
    """A crop, the vertex that each of its cells matches best, and the template in the same colours."""
    image, camera = sample.read()
    vertices = model.template.mesh.vertices
    colours = (255 * (vertices - vertices.min(axis=0)) / np.ptp(vertices, axis=0)).astype(np.uint8)
    crop, _ = box_crop(image, sample.box, camera, model.info.input_size, CROP_MARGIN)
    features = model.look(crop[None]).features
    best = log_likelihoods(model, features)[0].argmax(dim=0).numpy()  # the last is clutter
    cells = np.vstack([colours, [[255, 255, 255]]]).astype(np.uint8)[best]
    template = draw_mesh(model.template.mesh, colours, UP, 30.0, 25.0)
    tiles = [(crop, cv2.INTER_CUBIC), (cells, cv2.INTER_NEAREST), (template, cv2.INTER_CUBIC)]
    return np.hstack([cv2.resize(tile, (SIDE, SIDE), interpolation=how) for tile, how in tiles])


def pose(model: CategoryModel, samples: list[PoseSample]) -> np.ndarray:
    """The first pictures of the demo, as surfpose estimate draws them."""
    estimator = PoseEstimator([model])
    drawn = []
    for sample in samples:
        image, camera = sample.read()
        result = estimator(image, camera)
        drawn.append(draw_result(image, result, camera, {model.name: model.template.mesh}))
    return np.hstack(drawn)


if __name__ == "__main__":
    main()
