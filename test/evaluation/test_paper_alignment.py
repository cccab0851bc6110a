"""The paper's protocol on a CO3D written by the test: rendered mugs, with cameras as PyTorch3D has them."""

import gzip
import json

import cv2
import numpy as np
import pytest
import torch

from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import paper_alignment
from surfpose_ros.geometry.similarity import random_similarity
from surfpose_ros.progress import silent
from surfpose_ros.simulation.objects import make_object
from surfpose_ros.simulation.turntable import Turntable, TurntableSettings

FLIP = np.diag([-1.0, -1.0, 1.0])


def write_sequence(root, name, seed, views=14):
    turntable = Turntable(make_object("mug", seed), TurntableSettings(width=160, height=120), seed)
    video_from_object = random_similarity(torch.Generator().manual_seed(seed), 0.3, 0.3).numpy()
    scale = np.cbrt(np.linalg.det(video_from_object[:3, :3]))
    folder = root / "mug" / name
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    entries = []
    for number, (angle, elevation) in enumerate(turntable.views(views)):
        frame = turntable.frame(angle, elevation)
        image, mask = f"mug/{name}/images/{number:06}.jpg", f"mug/{name}/masks/{number:06}.png"
        cv2.imwrite(str(root / image), frame.image[..., ::-1])
        cv2.imwrite(str(root / mask), frame.mask.astype(np.uint8) * 255)
        scaled = np.diag([scale, scale, scale, 1]) @ frame.camera_from_object
        pose = scaled @ np.linalg.inv(video_from_object)
        matrix, half = turntable.camera.matrix, 60.0  # half the shorter side
        entries.append(
            {
                "sequence_name": name,
                "frame_number": number,
                "frame_timestamp": float(number),
                "image": {"path": image, "size": [120, 160]},
                "mask": {"path": mask, "mass": None},
                "viewpoint": {
                    "R": (FLIP @ pose[:3, :3]).T.tolist(),
                    "T": (FLIP @ pose[:3, 3]).tolist(),
                    "focal_length": [matrix[0, 0] / half, matrix[1, 1] / half],
                    "principal_point": [
                        (79.5 - matrix[0, 2]) / half,
                        (59.5 - matrix[1, 2]) / half,
                    ],
                    "intrinsics_format": "ndc_isotropic",
                },
            }
        )
    return entries, np.linalg.inv(video_from_object)


@pytest.fixture(scope="module")
def co3d(tmp_path_factory):
    root = tmp_path_factory.mktemp("co3d")
    frames, labels = [], {}
    for seed, name in enumerate(("1_1_1", "2_2_2")):
        entries, labels[f"mug/{name}"] = write_sequence(root, name, seed)
        frames += entries
    with gzip.open(root / "mug" / "frame_annotations.jgz", "wt") as file:
        json.dump(frames, file)
    with gzip.open(root / "mug" / "sequence_annotations.jgz", "wt") as file:
        json.dump([{"sequence_name": key.partition("/")[2], "category": "mug"} for key in labels], file)
    np.savez(root / "labels.npz", label_keys=list(labels), label_tform=np.stack(list(labels.values())))
    return root


def test_our_alignment_of_co3d_is_scored_over_all_pairs(co3d, tmp_path):
    result = paper_alignment.run(co3d / "labels.npz", co3d, tmp_path, ["mug"], 8, progress=silent)
    figures = result.figures["ours"]
    assert figures["n"] == 1 and figures["categories"]["mug"]["set_aside"] == {}
    assert figures["median_deg"] < 30
    assert (tmp_path / "mug" / "alignment.json").exists()


def test_the_released_alignments_score_as_the_data_says(shared_data):
    path = shared_data / "co3d_alignments" / "published.npz"
    figures = paper_alignment.run(path, progress=silent).figures["released"]
    assert figures["dinov2s"]["acc15"] == pytest.approx(0.618, abs=5e-4)
    assert figures["dinov2s"]["acc30"] == pytest.approx(0.766, abs=5e-4)
    assert figures["dinov2b_ref"]["median_deg"] == pytest.approx(8.9, abs=0.05)


def test_a_category_without_labels_and_a_missing_work_folder_are_said(co3d, tmp_path):
    with pytest.raises(SurfposeError, match="needs --work"):
        paper_alignment.run(co3d / "labels.npz", co3d, progress=silent)
    with pytest.raises(SurfposeError, match="car: fewer than two labelled videos"):
        paper_alignment.run(co3d / "labels.npz", co3d, tmp_path, ["car"], progress=silent)
