"""`surfpose retrain`: captures to a category model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.alignment.settings import AlignmentSettings
from surfpose_ros.backbones.registry import DEFAULT_BACKBONE
from surfpose_ros.cli.console import JobsOption, JsonOption, RayOption, err, out, print_json, progress_bars
from surfpose_ros.cli.reconstruct import BackboneOption, MasksOption, PosesOption, check_sources
from surfpose_ros.cli.train import DeviceOption, PresetOption, SeedOption, StepsOption, train_settings
from surfpose_ros.evaluation.own_frames import measure_own_frames
from surfpose_ros.fan_out import fan_out_of
from surfpose_ros.retrain import RetrainSettings, retrain
from surfpose_ros.surface.reconstruct import ReconstructSettings
from surfpose_ros.video.capture import find_captures

app = typer.Typer()


@app.command(name="retrain")
def retrain_command(
    captures: Annotated[list[Path], typer.Argument(help="Capture folders, or folders of captures.")],
    category: Annotated[str, typer.Option(help="Name of the category, such as mug.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the category model.")],
    work: Annotated[
        Path | None, typer.Option(help="Folder for surfaces and alignment; OUT.work if not given.")
    ] = None,
    poses: PosesOption = "auto",
    masks: MasksOption = "auto",
    backbone: BackboneOption = DEFAULT_BACKBONE,
    preset: PresetOption = "full",
    steps: StepsOption = None,
    front: Annotated[
        str | None, typer.Option(help="Which axis of WORK/alignment.png is the front: +x, -x, +y, -y, ...")
    ] = None,
    up: Annotated[str | None, typer.Option(help="Which axis of it points up, if not +z.")] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    jobs: JobsOption = 1,
    ray: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """From captures to a category model: reconstruct, align, train.

    Each stage keeps what it made in the work folder; run again after an interruption or with more
    captures, it does only what is missing. Look at alignment.png there: an object that is turned the wrong
    way round teaches the model that its front is its back. Objects that do not face along x? Name the axis
    along which they do with --front; it stays the front when captures are added, and the same again changes
    nothing.
    """
    check_sources(poses, masks)
    work = work or out_dir.with_name(out_dir.name + ".work")
    train, chosen = train_settings(preset, steps, seed, device)
    train = replace(train, backbone=backbone)
    settings = RetrainSettings(
        ReconstructSettings(), AlignmentSettings(seed=seed), train, poses, masks, chosen, front, up
    )
    folders = find_captures(captures)
    with progress_bars(quiet=as_json) as progress:
        fan_out = fan_out_of(ray, chosen, jobs)
        report = retrain(folders, category, out_dir, work, settings, progress, fan_out=fan_out)
        figures = measure_own_frames(out_dir, folders, work / "surfaces", chosen, progress, masks)
    if as_json:
        print_json(
            {
                "model": str(report.model),
                "work": str(work),
                "trained_on": report.trained_on,
                "left_out": report.left_out,
                "kept": report.kept,
                "figures": figures,
            }
        )
        return
    for name, reason in report.left_out.items():
        err.print(f"left out: {name}: {reason}", soft_wrap=True)
    out.print(f"{out_dir}: {category} learnt from {len(report.trained_on)} captures", soft_wrap=True)
    own = figures["own_frames"]
    out.print(
        f"on {own['n']} frames of its own captures: {own['acc30']:.0%} within 30 degrees, median "
        f"{own['median_deg']:.1f} degrees; measure it on others with `surfpose evaluate pose`",
        soft_wrap=True,
    )
    out.print(f"look at {work / 'alignment.png'}: do all objects face the same way?", soft_wrap=True)
    out.print(f"next: surfpose estimate --model {out_dir} photo.jpg", soft_wrap=True)
