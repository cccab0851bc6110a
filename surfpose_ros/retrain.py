"""The whole of learning: captures in, a category model out; what is there already is not made again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from surfpose_ros.alignment.alignment import Alignment, read_alignment, write_alignment
from surfpose_ros.alignment.canonical import relabelling, same_way_round, turned_as_asked
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.picture import write_picture
from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.category.checkpoint import Checkpoint
from surfpose_ros.category.distributed import Share
from surfpose_ros.category.model import CategoryModel, load_category_model, save_category_model
from surfpose_ros.category.train import fit, prepare
from surfpose_ros.category.train_settings import TrainSettings
from surfpose_ros.category.trainer import Lesson
from surfpose_ros.device import torch_device
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import FanOut, in_process
from surfpose_ros.files import locked, read_json, remove_leftovers, write_json
from surfpose_ros.pose.calibrate import calibrate
from surfpose_ros.progress import Progress, silent, track
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.reconstruct import ReconstructSettings
from surfpose_ros.surface.surface import Surface, load_surface, surface_made_from
from surfpose_ros.video.reader import read_capture

STAMP_VERSION = 1


@dataclass(frozen=True)
class RetrainSettings:
    """Settings of every stage.

    Attributes:
        reconstruct, alignment, train: of the stages.
        poses: a pose source, or auto for each capture's own.
        masks: a mask method or network, or auto for what each capture allows.
        device: torch device.
        front, up: axes of the alignment's picture that are to be these, such as -x; None to leave them.
    """

    reconstruct: ReconstructSettings = field(default_factory=ReconstructSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    poses: str = "auto"
    masks: str = "auto"
    device: str = "cpu"
    front: str | None = None
    up: str | None = None


@dataclass(frozen=True)
class RetrainReport:
    """What was learnt from what.

    Attributes:
        model: folder of the category model.
        trained_on: names of the captures used.
        left_out: capture to the reason, one line: bad ones and those that the alignment set aside.
        kept: stages whose earlier result still held.
    """

    model: Path
    trained_on: list[str]
    left_out: dict[str, str]
    kept: list[str]


def retrain(
    captures: Sequence[Path],
    category: str,
    out: Path,
    work: Path,
    settings: RetrainSettings,
    progress: Progress = silent,
    surfaces_folder: Path | None = None,
    fan_out: FanOut = in_process,
) -> RetrainReport:
    """Reconstruct, align and train; the stages' results stay in `work` and are used again.

    Args:
        captures: capture folders of objects of one category.
        category: its name.
        out: folder for the model; an older one is replaced at the very end, whole.
        work: folder for `surfaces/`, `alignment.json` with its picture, and the state of a training
            under way.
        settings: of every stage.
        progress: told of every stage; may cancel.
        surfaces_folder: for the surfaces in place of `work`'s own, where several trainings share them.
        fan_out: who reconstructs and aligns the pairs; training is done here.

    Raises:
        SurfposeError: fewer than two usable captures, captures that do not fit together, axes that are
            none, or another process is at work in `work`.
    """
    relabelling(settings.front, settings.up)
    folder = surfaces_folder or work / "surfaces"
    with locked(work):
        for written in (work, folder, out.parent):
            remove_leftovers(written)
        return _retrain(captures, category, out, work, folder, settings, progress, fan_out)


def _retrain(
    captures: Sequence[Path],
    category: str,
    out: Path,
    work: Path,
    folder: Path,
    settings: RetrainSettings,
    progress: Progress,
    fan_out: FanOut,
) -> RetrainReport:
    batch = reconstruct_captures(
        captures,
        folder,
        settings.reconstruct,
        settings.train.backbone,
        settings.device,
        settings.poses,
        settings.masks,
        progress,
        fan_out,
    )
    names = sorted(batch.made + batch.kept)
    if len(names) < 2:
        reasons = "; ".join(batch.failed.values())
        raise SurfposeError(
            f"{len(names)} usable capture(s) of {category}; learning a category takes videos of "
            f"two different objects at least, better eight" + (f" ({reasons})" if reasons else "")
        )
    surfaces = {name: load_surface(folder, name) for name in names}
    kept = ["surfaces"] if not batch.made else []
    made_from = _digest({name: surface_made_from(folder, name) for name in names})
    alignment = _aligned(surfaces, made_from, category, work, settings, progress, fan_out, kept)
    _trained(captures, surfaces, made_from, alignment, out, work, settings, progress, kept)
    return RetrainReport(
        out, sorted(alignment.canonical_from_video), batch.failed | alignment.set_aside, kept
    )


def learn(
    lessons: Sequence[Lesson],
    settings: TrainSettings,
    device: torch.device,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    share: Share | None = None,
) -> list[CategoryModel]:
    """Train categories, then find out what their scores are worth (in the first process of several)."""
    models = fit(lessons, settings, device, progress, checkpoint, share)
    if share and not share.first:
        return models
    return [
        calibrate(model, lesson.views, settings.calibration, settings.seed, progress)
        for model, lesson in zip(models, lessons, strict=True)
    ]


def _aligned(
    surfaces: dict[str, Surface],
    made_from: str,
    category: str,
    work: Path,
    settings: RetrainSettings,
    progress: Progress,
    fan_out: FanOut,
    kept: list[str],
) -> Alignment:
    """The alignment, its axes as asked, else as they were before captures came or went."""
    path, stamp = work / "alignment.json", work / "alignment.stamp.json"
    wanted = _digest([made_from, settings.alignment.as_dict(), category])
    older = _older_alignment(path)
    if older and _stamped(stamp) == wanted:
        kept.append("alignment")
        alignment = older
    else:
        found = align_surfaces(
            list(surfaces.values()),
            settings.alignment,
            progress,
            settings.device,
            fan_out,
            path.with_suffix(".pairs"),
        )
        found = replace(found, category=category)
        alignment = same_way_round(found, older) if older else found
    alignment = turned_as_asked(alignment, settings.front, settings.up)
    if alignment is not older:
        write_alignment(path, alignment)
        write_picture(path.with_suffix(".png"), list(surfaces.values()), alignment)
        write_json(stamp, {"format_version": STAMP_VERSION, "made_from": wanted})
    return alignment


def _older_alignment(path: Path) -> Alignment | None:
    try:
        return read_alignment(path) if path.exists() else None
    except SurfposeError:
        return None  # broken, or of another version: it is made again


def _trained(
    captures: Sequence[Path],
    surfaces: dict[str, Surface],
    made_from: str,
    alignment: Alignment,
    out: Path,
    work: Path,
    settings: RetrainSettings,
    progress: Progress,
    kept: list[str],
) -> CategoryModel:
    device, stamp = torch_device(settings.device), work / "model.stamp.json"
    transforms = {name: pose.tolist() for name, pose in alignment.canonical_from_video.items()}
    wanted = _digest([made_from, transforms, asdict(settings.train), str(out.resolve())])
    if (out / "category.yaml").exists() and _stamped(stamp) == wanted:
        kept.append("model")
        return load_category_model(out, device)
    folders = {capture.resolve().name: capture for capture in captures}
    names = sorted(alignment.canonical_from_video)
    reading = track(names, progress, "views", len(names))
    videos = (read_capture(folders[name], "none", settings.masks) for name in reading)
    checkpoint = Checkpoint(work / "training.safetensors", _digest([wanted, settings.device]))
    lesson = prepare(videos, surfaces, alignment, settings.train)
    [model] = learn([lesson], settings.train, device, progress, checkpoint)
    save_category_model(model, out)
    write_json(stamp, {"format_version": STAMP_VERSION, "made_from": wanted})
    checkpoint.discard()
    return model


def _stamped(path: Path) -> str | None:
    try:
        return str(read_json(path, kind="stamp", version=STAMP_VERSION)["made_from"])
    except (SurfposeError, KeyError):
        return None


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
