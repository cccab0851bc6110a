"""`surfpose demo`: the whole way on simulated objects, ending in a report."""

from pathlib import Path
from typing import Annotated

import typer

from surfpose_ros.cli.console import JsonOption, out, print_json, progress_bars

app = typer.Typer()


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for everything; used again.")] = Path(
        "demo"
    ),
    category: Annotated[str, typer.Option(help="Parametric category.")] = "mug",
    objects: Annotated[int, typer.Option(min=3, help="Objects to record.")] = 8,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures of objects never seen.")] = 24,
    as_json: JsonOption = False,
) -> None:
    """Simulated turntable, recorder, learning and live poses, over real ROS; a report against the truth.

    A second run uses the captures, surfaces, model and answers that are there.
    """
    from surfpose_ros.demo.run import run_demo

    with progress_bars(quiet=as_json) as progress:
        result = run_demo(out_dir, category, objects, pictures, progress)
    if as_json:
        print_json({**result.figures, "report": str(result.page)})
        return
    for table in result.tables:
        out.print(table.rich())
    out.print(f"report: {result.page}", soft_wrap=True)
