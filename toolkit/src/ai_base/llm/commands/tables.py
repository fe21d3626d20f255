"""Tables and texts that fit the terminal."""

import shutil
import textwrap
from collections.abc import Sequence
from decimal import Decimal

from ai_base.cli import echo

GAP = "  "
SHORTEST_COLUMN = 6


def terminal_width() -> int:
    """Return the columns of the terminal; `COLUMNS`, or 80, where output goes elsewhere."""
    return shutil.get_terminal_size().columns


def money(amount: Decimal) -> str:
    """Write an amount of US dollars exactly, with at least two decimals."""
    digits = f"{amount:,.9f}".rstrip("0")
    whole, _, decimals = digits.partition(".")
    return f"${whole}.{decimals:0<2}"


def one_line(value: object) -> str:
    """Write a value without line breaks, so that a stored text cannot forge another line of the table."""
    return " ".join(str(value).split())


def shortened(text: str, width: int) -> str:
    """Cut a text to a number of columns; an ellipsis shows that it was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], *, flexible: Sequence[str]) -> None:
    """Print rows under a header; integers and amounts to the right. The `flexible` columns are cut where needed."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    _shrink(widths, [header.index(name) for name in flexible])
    to_the_right = [isinstance(value, int | Decimal) for value in rows[0]]
    for row in cells:
        fitted = []
        for text, width, right in zip(row, widths, to_the_right, strict=True):
            cut = shortened(text, width)
            fitted.append(cut.rjust(width) if right else cut.ljust(width))
        echo(GAP.join(fitted).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.6f}"
    return f"{value:,}" if isinstance(value, int) else one_line(value)


def _shrink(widths: list[int], columns: Sequence[int]) -> None:
    """Take characters from the widest of these columns until the table fits."""
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - terminal_width()
    for _ in range(excess):
        widest = max(columns, key=lambda column: widths[column])
        if widths[widest] > SHORTEST_COLUMN:
            widths[widest] -= 1


def print_text(label: str, text: str, *, most_lines: int, more: str) -> None:
    """Print a text next to its label, wrapped to the terminal. Lines beyond `most_lines` are replaced by `more`."""
    first, rest = f"  {label + ':':<8}", " " * 10
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += textwrap.wrap(paragraph, max(20, terminal_width() - len(rest))) or [""]
    if len(lines) > most_lines:
        lines[most_lines:] = [f"… {more}"]
    for number, line in enumerate(lines):
        echo(((rest if number else first) + line).rstrip())
