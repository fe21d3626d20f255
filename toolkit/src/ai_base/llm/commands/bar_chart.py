"""A bar chart of amounts, as SVG."""

from collections.abc import Sequence
from decimal import Decimal

from ai_base.llm.commands import svg
from ai_base.llm.commands.tables import money, one_line, shortened

WIDTH, LABELS, VALUES = 800, 220, 130
"""Widths in pixels: the picture, the names at the left, the amounts at the right."""

TOP, ROW, BAR = 70, 30, 18
LONGEST_LABEL = 26


def bar_chart(title: str, bars: Sequence[tuple[str, Decimal]]) -> str:
    """Draw a bar for each name and amount. Bars start at zero; the longest takes the whole width."""
    largest = max((amount for _, amount in bars), default=Decimal(0))
    parts = [svg.text(20, 38, f"{title}, US dollars", size=20)]
    for number, (name, amount) in enumerate(bars):
        y = TOP + number * ROW
        length = float(amount / largest) * (WIDTH - LABELS - VALUES) if largest else 0
        label = shortened(one_line(name) or "(none)", LONGEST_LABEL)
        parts += [
            svg.text(LABELS - 10, y + BAR - 4, label, anchor="end"),
            svg.rectangle(LABELS, y, length, BAR, "bar"),
            svg.text(LABELS + length + 8, y + BAR - 4, money(amount)),
        ]
    parts.append(svg.line(LABELS, TOP - 6, LABELS, TOP + len(bars) * ROW - 6))
    return svg.document(WIDTH, TOP + len(bars) * ROW + 14, title, parts)
