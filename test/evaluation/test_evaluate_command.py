"""`surfpose evaluate pose` and `surfpose benchmark paper-wild` with a whole, if untrained, model."""

import csv
import json

import cv2
import numpy as np
import pytest
import scipy.io
from typer.testing import CliRunner

from surfpose_ros.cli import evaluate
from surfpose_ros.errors import SurfposeError
from surfpose_ros.evaluation import paper_wild
from surfpose_ros.evaluation.model_evaluation import PoseEvaluation, evaluate_model
from surfpose_ros.progress import silent


@pytest.fixture
def photos(tmp_path):
    generator = np.random.default_rng(0)
    rows = [["image", "qw", "qx", "qy", "qz", "category"]]
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), generator.integers(0, 255, (60, 90, 3), np.uint8))
        rows.append([f"{index}.jpg", 0.5, 0.5, 0.5, 0.5, "car" if index < 2 else "cup"])
    with (tmp_path / "poses.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path


def test_every_output_of_evaluate_pose_is_written(untrained_model, photos):
    names = {"json": "o.json", "csv": "o.csv", "latex": "o.tex", "html": "o.html", "gallery": "o.png"}
    files = {key: photos / name for key, name in names.items()}
    arguments = ["pose", "--model", str(untrained_model), "--labels", str(photos / "poses.csv")]
    arguments += ["--root", str(photos), "--symmetry", "z:2"]
    for key, path in files.items():
        arguments += [f"--{key}", str(path)]
    result = CliRunner().invoke(evaluate.app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(files["json"].read_text())
    assert figures["n"] == 2  # the cup is no car
    assert {"acc30", "acc15", "acc10", "median_deg", "constant_guess", "flips"} <= set(figures)
    assert "the labels' axes are taken to be the model's own" in figures["conditions"]
    assert len(files["csv"].read_text().splitlines()) == 3
    assert "constant best guess" in result.stdout and "constant best guess" in files["latex"].read_text()
    assert cv2.imread(str(files["gallery"])) is not None and "Worst answers" in files["html"].read_text()


def test_figures_alone_go_to_stdout(untrained_model, photos):
    arguments = ["pose", "--model", str(untrained_model), "--labels", str(photos / "poses.csv")]
    arguments += ["--root", str(photos), "--limit", "1", "--json", "-"]
    assert json.loads(CliRunner().invoke(evaluate.app, arguments).stdout)["n"] == 1


def test_what_is_asked_for_must_fit_together(untrained_model, photos):
    labels = photos / "poses.csv"
    with pytest.raises(SurfposeError, match="either --labels FILE or --dataset NAME"):
        evaluate_model(PoseEvaluation(untrained_model, photos))
    with pytest.raises(SurfposeError, match="belong together"):
        evaluate_model(PoseEvaluation(untrained_model, photos, labels, axes_labels=labels))
    with pytest.raises(SurfposeError, match="no reader for the data set 'coco'; there are pascal3d"):
        evaluate_model(PoseEvaluation(untrained_model, photos, dataset="coco"))
    labels.write_text("image,qw,qx,qy,qz,category\n2.jpg,1,0,0,0,cup\n")
    with pytest.raises(SurfposeError, match="no image of 'car'; it has cup"):
        evaluate_model(PoseEvaluation(untrained_model, photos, labels))


def write_pascal3d(root):
    view = {"azimuth": 30.0, "elevation": 5.0, "theta": 0.0, "distance": 5.0, "focal": 1.0}
    view |= {"px": 45.0, "py": 30.0, "viewport": 3000.0}
    entry = {"class": "car", "bbox": np.array([10.0, 10, 80, 50]), "cad_index": 1, "viewpoint": view}
    for folder in ("Annotations/car_imagenet", "Images/car_imagenet", "Image_sets"):
        (root / folder).mkdir(parents=True)
    scipy.io.savemat(root / "Annotations/car_imagenet/n1.mat", {"record": {"objects": entry}})
    (root / "Image_sets/car_imagenet_val.txt").write_text("n1\n")
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    cv2.imwrite(str(root / "n1.jpg"), image)
    (root / "n1.jpg").rename(root / "Images/car_imagenet/n1.JPEG")


@pytest.mark.parametrize("protocol", ["paper", "ours"])
def test_the_papers_protocol_in_the_wild(untrained_model, tmp_path, protocol):
    write_pascal3d(tmp_path)
    result = paper_wild.run(untrained_model.parent, tmp_path, protocol=protocol, progress=silent)
    figures = result.figures["PASCAL3D+"]
    assert figures["categories"]["car"]["n"] == 1 and figures["mean"]["median_deg"] > 0
    assert "No model of: bicycle, bus, chair" in result.tables[0].note
    assert ("crop from ground truth" in result.tables[0].note) == (protocol == "paper")


def test_the_wild_protocol_needs_a_data_set_and_a_model(untrained_model, tmp_path):
    with pytest.raises(SurfposeError, match="name at least one data set"):
        paper_wild.run(untrained_model.parent, progress=silent)
    with pytest.raises(SurfposeError, match=r"no model of any of the categories of PASCAL3D\+"):
        paper_wild.run(tmp_path, tmp_path, progress=silent)
