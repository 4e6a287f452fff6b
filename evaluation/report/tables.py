"""Tables of rates and their differences: on the terminal, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as ConsoleTable

from evaluation.paired import Gap
from evaluation.rates import Rate, as_rate


class Row(NamedTuple):
    """A row of a table. A cell is a rate, its JSON data, or None for an empty cell."""

    name: str
    cells: Sequence[Rate | Gap | Mapping[str, Any] | None]
    note: str = ""

    @property
    def rates(self) -> list[Rate | Gap | None]:
        """The cells."""
        return [None if cell is None else as_cell(cell) for cell in self.cells]

    @property
    def episodes(self) -> str:
        """The different n of the cells; of differences alone, their pairs and unpaired episodes."""
        counts = [str(rate.n) for rate in self.rates if isinstance(rate, Rate)]
        gaps = [gap for gap in self.rates if isinstance(gap, Gap)]
        if not counts and gaps and not any(gap.unpaired for gap in gaps):
            return f"{', '.join(dict.fromkeys(str(gap.n) for gap in gaps))} pairs"
        return ", ".join(dict.fromkeys(counts or map(pairs_text, gaps)))

    @property
    def label(self) -> str:
        """The name with the note, for tables of text."""
        return f"{self.name} ({self.note})" if self.note else self.name


def as_cell(cell: Rate | Gap | Mapping[str, Any]) -> Rate | Gap:
    """A rate, or a difference of two, from its JSON data."""
    if isinstance(cell, Gap):
        return cell
    return Gap(**cell) if isinstance(cell, Mapping) and "first_only" in cell else as_rate(cell)


class Table(NamedTuple):
    """Rates by row and column, each shown with n and its interval."""

    columns: Sequence[str]
    rows: Sequence[Row]
    corner: str = "run"
    """What the rows are."""


def print_table(table: Table, title: str | None = None) -> None:
    """A table on the terminal: per cent with the interval, and the episodes of a row under n.

    Where it does not fit the terminal, or `COLUMNS`, every cell has a line of its own.
    """
    fitted = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if fitted else 160)  # a file has no width to fit into
    wide = [[row.label, *map(rate_text, row.rates), row.episodes] for row in table.rows]
    shown = _console_table([table.corner, *table.columns, "n"], wide, title)
    if (
        console.measure(shown, options=console.options.update(max_width=10_000)).maximum
        > console.width
    ):
        shown = _console_table([table.corner, "", ""], _by_cell(table), title)
    console.print(shown)


def _console_table(
    columns: Sequence[str], lines: Sequence[Sequence[str]], title: str | None
) -> ConsoleTable:
    table = ConsoleTable(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=place > 0)
    for line in lines:
        table.add_row(*line)
    return table


def _by_cell(table: Table) -> list[list[str]]:
    lines = []
    for row in table.rows:
        cells = [*map(rate_text, row.rates), row.episodes]
        for place, cell in enumerate(zip([*table.columns, "n"], cells, strict=True)):
            lines.append(["" if place else row.label, *cell])
    return lines


def markdown(table: Table) -> str:
    """A table as Markdown: per cent with the interval, and the episodes of a row under n."""
    lines = [[table.corner, *table.columns, "n"], ["---", *["---:"] * (len(table.columns) + 1)]]
    lines += [[row.label, *map(rate_text, row.rates), row.episodes] for row in table.rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def rate_text(rate: Rate | Gap | None) -> str:
    """`94.5 (90.4–96.9)`, in per cent; `+4.0 (−1.2 to +9.0), p 0.21` for a gap; `–` for None."""
    if rate is None:
        return "–"
    if isinstance(rate, Gap):
        return f"{signed(rate.value)} ({signed(rate.low)} to {signed(rate.high)}){p_text(rate)}"
    return f"{per_cent(rate.value)} ({per_cent(rate.low)}–{per_cent(rate.high)})"


def pairs_text(gap: Gap) -> str:
    """`200 pairs`, `53 unpaired`, or both, of a mean over levels."""
    counts = {"pairs": gap.n - gap.unpaired, "unpaired": gap.unpaired}
    return " + ".join(f"{count} {name}" for name, count in counts.items() if count)


def signed(share: float) -> str:
    """`+4.0`, `−1.2`, in points of per cent."""
    return f"{100 * share:+.1f}".replace("-", "−")


def p_text(gap: Gap) -> str:
    """`, p 0.031` or `, p < 0.001`; nothing where there is no test."""
    if gap.p is None:
        return ""
    return ", p < 0.001" if gap.p < 0.001 else f", p {gap.p:.3f}"


def per_cent(share: float) -> str:
    """`94.5`; `100` is exact and `100.0` is rounded."""
    return "100" if share == 1 else f"{100 * share:.1f}"


def latex(table: Table) -> str:
    """A table as LaTeX's `tabular` with booktabs rules: per cent, the interval as a subscript."""
    head = [table.corner, *table.columns, "n"]
    rows = [[row.label, *map(_latex_cell, row.rates), row.episodes] for row in table.rows]
    rows = [[_latex_text(line[0]), *line[1:]] for line in rows]
    lines = [" & ".join(each) + r" \\" for each in rows]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(map(_latex_text, head)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _latex_cell(rate: Rate | Gap | None) -> str:
    if rate is None:
        return "--"
    if isinstance(rate, Gap):
        p = p_text(rate).replace("p", "$p$", 1).replace("<", "$<$")
        low, high = (signed(each).replace("−", "-") for each in (rate.low, rate.high))
        return f"${signed(rate.value).replace('−', '-')}_{{{low}}}^{{{high}}}${p}"
    return f"${per_cent(rate.value)}_{{{per_cent(rate.low)}}}^{{{per_cent(rate.high)}}}$"


_LATEX = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}",
          "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
          "−": "$-$"}  # fmt: skip


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def comma_separated(table: Table) -> str:
    """A table as CSV in long form: a line per cell, shares with their limits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([table.corner, "column", "value", "low", "high", "n", "p"])
    for row in table.rows:
        for column, rate in zip(table.columns, row.rates, strict=True):
            if rate is not None:
                p = "" if not isinstance(rate, Gap) or rate.p is None else rate.p
                writer.writerow([row.name, column, rate.value, rate.low, rate.high, rate.n, p])
    return file.getvalue()
