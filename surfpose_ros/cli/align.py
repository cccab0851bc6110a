"""`surfpose align`: all surfaces of a category into one canonical frame."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from surfpose_ros.alignment.alignment import Alignment, write_alignment
from surfpose_ros.alignment.canonical import relabelling, turned_as_asked
from surfpose_ros.alignment.joint import AGREES_DEG
from surfpose_ros.alignment.many import align_surfaces
from surfpose_ros.alignment.picture import write_picture
from surfpose_ros.alignment.settings import settings_of
from surfpose_ros.cli.console import JobsOption, JsonOption, RayOption, out, print_json, progress_bars
from surfpose_ros.errors import SurfposeError
from surfpose_ros.fan_out import fan_out_of
from surfpose_ros.surface.surface import Surface, load_surface

app = typer.Typer()


@app.command()
def align(
    surfaces: Annotated[
        Path, typer.Argument(help="Folder of surfaces, as surfpose reconstruct writes it.")
    ],
    out_path: Annotated[
        Path, typer.Option("--out", help="The alignment (JSON); a picture beside it (PNG).")
    ],
    alpha: Annotated[float, typer.Option(help="Share of the appearance in the distance, 0 to 1.")] = 0.5,
    tau: Annotated[float, typer.Option(help="Temperature of the cycle weights, in diameters.")] = 0.9,
    mode: Annotated[
        str,
        typer.Option(help="up: use what the surfaces know of the vertical; free: search all rotations."),
    ] = "up",
    reference: Annotated[
        str, typer.Option(help="all: solve all pairs at once; medoid: every video to the most central one.")
    ] = "all",
    features: Annotated[
        str, typer.Option(help="mean: of each vertex's views; set: the paper's sets (slow).")
    ] = "mean",
    front: Annotated[
        str | None, typer.Option(help="Which axis of the picture is the front: +x, -x, +y, -y, +z, -z.")
    ] = None,
    up: Annotated[str | None, typer.Option(help="Which axis of the picture points up, if not +z.")] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    jobs: JobsOption = 1,
    ray: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring all surfaces of a category into one canonical frame, with no label.

    Pairs that are done are kept beside the alignment until it is whole: stopped, it goes on from there.

    Look at the picture. If the objects do not face along x, name the axis along which they do with --front;
    the axes are those of the picture drawn without --front and --up.
    """
    loaded = load_surfaces(surfaces)
    settings = settings_of(
        alpha=alpha, tau=tau, mode=mode, reference=reference, features=features, seed=seed
    )
    relabelling(front, up)  # says at once what is wrong with them
    with progress_bars(quiet=as_json) as progress:
        kept = out_path.with_suffix(".pairs")
        alignment = align_surfaces(loaded, settings, progress, device, fan_out_of(ray, device, jobs), kept)
    alignment = turned_as_asked(alignment, front, up)
    write_alignment(out_path, alignment)
    picture = out_path.with_suffix(".png")
    write_picture(picture, loaded, alignment)
    if as_json:
        print_json(
            {
                "alignment": str(out_path),
                "picture": str(picture),
                "confidence": alignment.confidence,
                "set_aside": alignment.set_aside,
                "axes": alignment.axes,
                "symmetry": alignment.symmetry.as_dict(),
            }
        )
    else:
        print_outcome(alignment)
        out.print(f"written: {out_path}, {picture}")


def load_surfaces(folder: Path) -> list[Surface]:
    """All surfaces of a folder, by name.

    Raises:
        SurfposeError: no such folder, or no surface in it.
    """
    names = sorted(path.stem for path in folder.glob("*.safetensors"))
    if not names:
        raise SurfposeError(
            f"{folder}: no surfaces (*.safetensors) here; make them with surfpose reconstruct"
        )
    return [load_surface(folder, name) for name in names]


def print_outcome(alignment: Alignment) -> None:
    """One line a video: how sure, and which pairs went another way by themselves."""
    table = Table("video", "agrees", "pairs that went another way (degrees)", box=None)
    for name, confidence in alignment.confidence.items():
        others = [
            f"{pair.target if pair.source == name else pair.source} {pair.off_deg:.0f}"
            for pair in alignment.pairs
            if name in (pair.source, pair.target) and pair.off_deg >= AGREES_DEG
        ]
        table.add_row(name, f"{confidence:.0%}", ", ".join(others) or "-")
    out.print(table)
    for name, reason in alignment.set_aside.items():
        out.print(f"set aside: {name}: {reason}")
    out.print(f"symmetry: {alignment.symmetry}")
    for axis, origin in alignment.axes.items():
        out.print(f"{axis}: {origin}")
