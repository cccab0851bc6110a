"""`surfpose reconstruct`: captures to surfaces."""

from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.backbones.registry import BACKBONES, DEFAULT_BACKBONE
from surfpose_ros.cli.console import (
    JobsOption,
    JsonOption,
    RayOption,
    counted,
    err,
    out,
    print_json,
    progress_bars,
)
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import fan_out_of
from surfpose_ros.geometry.visibility import BACKENDS
from surfpose_ros.surface.batch import reconstruct_captures
from surfpose_ros.surface.reconstruct import SHAPES, ReconstructSettings
from surfpose_ros.video.capture import POSE_SOURCES, find_captures
from surfpose_ros.video.mask_network import SUFFIX
from surfpose_ros.video.reader import MASK_METHODS

app = typer.Typer()

PosesOption = Annotated[str, typer.Option(help=f"Pose source: {', '.join(POSE_SOURCES)}.")]
MasksOption = Annotated[str, typer.Option(help=f"{', '.join(MASK_METHODS)}, or an ONNX file.")]
BackboneOption = Annotated[str, typer.Option(help=f"What sees: {', '.join(BACKBONES)}.")]


def check_sources(poses: str, masks: str) -> None:
    """Refuse unknown sources of poses and masks as wrong usage."""
    if poses not in POSE_SOURCES:
        raise typer.BadParameter(f"{poses!r} is not one of {', '.join(POSE_SOURCES)}", param_hint="--poses")
    if masks not in MASK_METHODS and not masks.endswith(SUFFIX):
        raise typer.BadParameter(
            f"{masks!r} is none of {', '.join(MASK_METHODS)}, and no {SUFFIX} file", param_hint="--masks"
        )
    if masks.endswith(SUFFIX) and not Path(masks).is_file():  # once, not for each capture
        raise SurfposeError(f"{masks}: no such network; --masks takes the path of an ONNX file")


@app.command()
def reconstruct(
    captures: Annotated[list[Path], typer.Argument(help="Capture folders, or folders of captures.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the surfaces.")],
    poses: PosesOption = "auto",
    masks: MasksOption = "auto",
    shape: Annotated[str, typer.Option(help=f"Where meshes come from: {', '.join(SHAPES)}.")] = "auto",
    vertices: Annotated[int, typer.Option(min=50, max=20000, help="Vertices of a mesh at most.")] = 500,
    backbone: BackboneOption = DEFAULT_BACKBONE,
    visibility: Annotated[
        str, typer.Option(help=f"What finds the visible vertices: {', '.join(BACKENDS)}.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="torch device of the backbone: cpu, cuda, cuda:1.")] = "cpu",
    jobs: JobsOption = 1,
    ray: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn captures into surfaces: cameras, masks, mesh, features.

    Surfaces that are there and whose capture and settings have not changed are kept. A bad capture does
    not stop the others; it is named at the end, and the exit code is 1.
    """
    check_sources(poses, masks)
    folders = find_captures(captures)
    settings = ReconstructSettings(max_vertices=vertices, shape=shape, visibility=visibility)
    with progress_bars(quiet=as_json) as progress:
        report = reconstruct_captures(
            folders,
            out_dir,
            settings,
            backbone,
            device,
            poses,
            masks,
            progress,
            fan_out_of(ray, device, jobs),
        )
    if as_json:
        print_json({"made": report.made, "kept": report.kept, "failed": report.failed})
    else:
        out.print(
            f"{counted(len(report.made), 'surface')} made, {len(report.kept)} kept, in {out_dir}",
            soft_wrap=True,
        )
        for reason in report.failed.values():
            err.print(f"surfpose: {reason}", soft_wrap=True)
    if report.failed:
        raise typer.Exit(1)
