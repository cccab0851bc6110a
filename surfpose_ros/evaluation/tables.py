"""One table, written as a terminal, CSV, Markdown, LaTeX or HTML table; cells are formatted once."""

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import rich.box
import rich.markup
import rich.table

Cell = str | int | float | bool | None

# Columns of text are not squeezed below this width on a narrow terminal.
_READABLE = 32
# Written out only where they mean something else in LaTeX than on paper.
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


@dataclass(frozen=True)
class Table:
    """A title, named columns and rows of plain values.

    Attributes:
        title: what the figures are.
        columns: one name a column, with the unit.
        rows: one cell a column. Floats are shown with `digits` decimals, None as a dash.
        note: said below: machine, date, command, what a column means.
        digits: decimals of floats.

    Example:
        >>> print(Table("Cars", ("name", "Acc30 %"), [("mini", 97.25)]).markdown())
        | name | Acc30 % |
        |:---|---:|
        | mini | 97.2 |
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]] = field(default_factory=list)
    note: str = ""
    digits: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r} has {len(self.columns)} columns; row {row!r} has not"
                )

    def texts(self) -> list[list[str]]:
        """Every cell as it is shown."""
        return [[self._text(cell) for cell in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Which columns hold numbers only, and are aligned to the right."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        return [all(cell is None or isinstance(cell, int | float) for cell in column) for column in columns]

    def rich(self) -> rich.table.Table:
        """For a terminal."""
        table = rich.table.Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            caption=self.note or None,
            caption_justify="left",
            box=rich.box.SIMPLE_HEAD,
            pad_edge=False,
            min_width=min(len(self.title), 76),
            padding=(0, 1, 0, 0),
        )
        for name, numeric, cells in zip(self.columns, self.numeric(), self._columns(), strict=True):
            widest = max(map(len, cells), default=0)
            least = min(widest, _READABLE)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold", min_width=least)
        for row in self.texts():
            table.add_row(*map(rich.markup.escape, row))
        return table

    def csv(self) -> str:
        """Comma-separated, unrounded, for spreadsheets and scripts."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def markdown(self) -> str:
        """A GitHub table, without title and note."""
        bars = ["---:" if numeric else ":---" for numeric in self.numeric()]
        lines = [self.columns, None, *self.texts()]
        return "\n".join(
            "|" + "|".join(bars) + "|"
            if cells is None
            else "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
            for cells in lines
        )

    def latex(self) -> str:
        """The rows of a `tabular`, the names of the columns as its first, for a paper's own layout."""
        lines = [self.columns, *self.texts()]
        return "\n".join(" & ".join(map(_latex, cells)) + r" \\" for cells in lines) + "\n"

    def html(self) -> str:
        """A `<figure>` with the table, its title and its note."""
        align = [' class="number"' if numeric else "" for numeric in self.numeric()]

        def row(tag: str, cells: Sequence[str]) -> str:
            pairs = zip(cells, align, strict=True)
            return "<tr>" + "".join(f"<{tag}{a}>{html.escape(c)}</{tag}>" for c, a in pairs) + "</tr>"

        body = "\n".join(row("td", cells) for cells in self.texts())
        note = f"<p class='note'>{html.escape(self.note)}</p>" if self.note else ""
        return (
            f"<figure><figcaption>{html.escape(self.title)}</figcaption><div class='scroll'><table>"
            f"<thead>{row('th', self.columns)}</thead><tbody>{body}</tbody></table></div>{note}</figure>"
        )

    def _columns(self) -> list[tuple[str, ...]]:
        return list(zip(*self.texts(), strict=True)) if self.rows else [()] * len(self.columns)

    def _text(self, cell: Cell) -> str:
        if cell is None:
            return "–"
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        return f"{cell:.{self.digits}f}" if isinstance(cell, float) else str(cell)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text).replace("–", "--")
