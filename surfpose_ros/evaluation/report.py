"""A self-contained HTML page of tables, pictures, histograms and meshes; it loads nothing from outside."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from surfpose_ros.evaluation.tables import Table
from surfpose_ros.files import atomic_file
from surfpose_ros.geometry.meshes import Mesh

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --quiet: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } .subtitle, .note { color: var(--quiet); font-size: 13px; margin-top: .3rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
figure { margin: 1.2rem 0; } figcaption { font-weight: 600; margin-bottom: .4rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; text-align: left; border-bottom: 1px solid var(--line); }
th { background: var(--soft); } .number { text-align: right; }
img { max-width: 100%; height: auto; border-radius: 4px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: .8rem; }
.gallery figure { margin: 0; } .gallery figcaption { font-weight: 400; font-size: 13px; margin: .2rem 0; }
.gallery img { width: 100%; }
"""


class Report:
    """Collects the parts of a page in order; every method returns the report, so calls chain.

    Example:
        >>> page = Report("Mugs").add_text("Eight mugs, one minute each.").html()
        >>> "Eight mugs" in page and "http" not in page
        True
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.subtitle = subtitle
        self._parts: list[str] = []
        self._meshes = 0

    def add_heading(self, text: str) -> "Report":
        """A section."""
        return self._add(f"<h2>{html.escape(text)}</h2>")

    def add_text(self, text: str) -> "Report":
        """A paragraph of plain text."""
        return self._add(f"<p>{html.escape(text)}</p>")

    def add_table(self, table: Table) -> "Report":
        """A table with its title and note."""
        return self._add(table.html())

    def add_picture(self, image: np.ndarray, caption: str) -> "Report":
        """An ``(H, W, 3)`` uint8 RGB picture."""
        return self._add(_captioned(_image_tag(image, caption), caption))

    def add_gallery(self, images: Sequence[tuple[str, np.ndarray]], caption: str) -> "Report":
        """Pictures side by side, each ``(caption, (H, W, 3) uint8 RGB)``."""
        tags = [
            f"<figure>{_image_tag(image, text)}<figcaption>{html.escape(text)}</figcaption></figure>"
            for text, image in images
        ]
        return self._add(_captioned(f"<div class='gallery'>{''.join(tags)}</div>", caption))

    def add_figure(self, figure: Figure, caption: str) -> "Report":
        """A matplotlib figure, drawn sharp for screens of double density."""
        return self._add(_captioned(_figure_tag(figure, caption), caption))

    def add_histogram(
        self, values: Mapping[str, Sequence[float] | np.ndarray], caption: str, unit: str, bins: int = 36
    ) -> "Report":
        """One histogram a named set of values, over a common range."""
        figure = Figure(figsize=(8, 3), layout="constrained")
        axes = figure.subplots()
        top = max((float(np.max(series)) for series in values.values() if len(series)), default=1.0)
        for name, series in values.items():
            axes.hist(series, bins=bins, range=(0, top or 1.0), alpha=0.6, label=name)
        axes.set(xlabel=unit, ylabel="count")
        axes.spines[["top", "right"]].set_visible(False)
        if len(values) > 1:
            axes.legend(frameon=False)
        return self.add_figure(figure, caption)

    def add_meshes(self, meshes: Mapping[str, Mesh], caption: str, apart: bool = False) -> "Report":
        """Named meshes in one frame, z up, that can be turned with the mouse and shown one by one.

        They lie on top of each other, or side by side if `apart`. The page then carries plotly's script,
        some 4 MB, once.
        """
        import plotly.graph_objects as plotly
        from plotly.colors import qualitative

        colours = qualitative.Plotly
        step = 1.1 * max((mesh.diagonal for mesh in meshes.values()), default=1.0)
        columns = int(np.ceil(np.sqrt(len(meshes)))) if apart else 1
        traces = [
            plotly.Mesh3d(
                **dict(zip("xyz", _placed(mesh, index, columns, step if apart else 0.0), strict=True)),
                **dict(zip("ijk", mesh.faces.T, strict=True)),
                name=name,
                color=colours[index % len(colours)],
                opacity=0.5 if len(meshes) > 1 and not apart else 1.0,
                flatshading=True,
                showlegend=True,
            )
            for index, (name, mesh) in enumerate(meshes.items())
        ]
        figure = plotly.Figure(traces)
        figure.update_layout(
            scene={"aspectmode": "data", "camera": {"eye": {"x": 1.7, "y": 1.7, "z": 1.4}}},
            height=560,
            margin={"l": 0, "r": 0, "t": 30, "b": 0},  # the bar of tools would cover the legend
        )
        script = figure.to_html(full_html=False, include_plotlyjs=self._meshes == 0)
        self._meshes += 1
        return self._add(_captioned(script, caption))

    def html(self) -> str:
        """The whole page."""
        parts = "\n".join(self._parts)
        subtitle = f"<p class='subtitle'>{html.escape(self.subtitle)}</p>" if self.subtitle else ""
        title = html.escape(self.title)
        return (
            f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>{subtitle}\n{parts}\n</body></html>\n"
        )

    def write(self, path: Path) -> Path:
        """Write the page, whole or not at all, and give its path back."""
        with atomic_file(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        return path

    def _add(self, part: str) -> "Report":
        self._parts.append(part)
        return self


def _placed(mesh: Mesh, index: int, columns: int, step: float) -> np.ndarray:
    """Coordinates ``(3, V)``, rounded to keep the page small, moved to the mesh's place in a grid."""
    row, column = divmod(index, columns)
    place = np.array([-step * row, step * column, 0.0])
    return np.asarray(np.round(mesh.vertices + place, 4).T)


def _captioned(body: str, caption: str) -> str:
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{body}</figure>"


def _image_tag(image: np.ndarray, text: str) -> str:
    """A photo as JPEG, a small drawing as PNG: whichever is the shorter."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    png = cv2.imencode(".png", bgr)[1].tobytes()
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    kind, data = ("png", png) if len(png) <= len(jpeg) else ("jpeg", jpeg)
    encoded = base64.b64encode(data).decode("ascii")
    return f"<img alt='{html.escape(text, quote=True)}' src='data:image/{kind};base64,{encoded}'>"


def _figure_tag(figure: Figure, text: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = int(figure.get_figwidth() * 100)
    alt = html.escape(text, quote=True)
    return f"<img alt='{alt}' width='{width}' src='data:image/png;base64,{encoded}'>"
