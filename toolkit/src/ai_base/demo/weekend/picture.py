"""The picture of the weekend, as SVG: both curves, and below them the guarded one magnified, with its daily cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from ai_base.demo.weekend.callers import Account, Weekend
from ai_base.demo.weekend.story import CAP, DAYS, FRIDAY, MIDNIGHTS, MONDAY
from ai_base.llm.commands import svg

WIDTH, HEIGHT = 960, 640
LEFT, RIGHT = 90, 910
UPPER = (110, 360)
"""Top and bottom of the upper panel, in pixels."""
LOWER = (440, 590)


@dataclass(frozen=True)
class Panel:
    """A pair of axes: time from left to right, US dollars from the bottom up."""

    top: float
    bottom: float
    most: Decimal
    """US dollars at the top."""

    def x(self, time: datetime) -> float:
        """Return the place of a time."""
        return LEFT + (RIGHT - LEFT) * ((time - FRIDAY) / (MONDAY - FRIDAY))

    def y(self, dollars: Decimal) -> float:
        """Return the place of an amount."""
        return self.bottom - (self.bottom - self.top) * float(dollars / self.most)

    def axes(self, amounts: Sequence[int]) -> list[str]:
        """Draw a line for each amount and each midnight."""
        parts = []
        for amount in amounts:
            y = self.y(Decimal(amount))
            parts += [svg.line(LEFT, y, RIGHT, y), svg.text(LEFT - 8, y + 4, f"${amount:,}", size=12, anchor="end")]
        for midnight in MIDNIGHTS:
            x = self.x(midnight)
            parts += [
                svg.line(x, self.top, x, self.bottom),
                svg.text(x, self.bottom + 18, f"{midnight:%a} 00:00", size=12, kind="note"),
            ]
        parts.append(svg.text(LEFT, self.bottom + 18, f"{FRIDAY:%a %H:%M}", size=12, anchor="middle", kind="note"))
        parts.append(svg.text(RIGHT, self.bottom + 18, f"{MONDAY:%a %H:%M}", size=12, anchor="middle", kind="note"))
        return parts

    def steps(self, points: Sequence[tuple[datetime, Decimal]], kind: str) -> str:
        """Draw what was spent: level between two payments."""
        path = [f"M{self.x(points[0][0]):.1f},{self.y(points[0][1]):.1f}"]
        for (_, before), (time, after) in pairwise(points):
            if after != before:
                path.append(f"H{self.x(time):.1f}V{self.y(after):.1f}")
        path.append(f"H{self.x(min(points[-1][0], MONDAY)):.1f}")
        return f'  <path d="{"".join(path)}" class="{kind}" />'


def draw(weekend: Weekend) -> str:
    """Draw a weekend as an SVG document."""
    upper = Panel(*UPPER, Decimal(80_000))
    lower = Panel(*LOWER, CAP * DAYS)
    naive, guarded = f"${weekend.naive.spent:,.2f}", f"${weekend.guarded.spent:,.2f}"
    caps = [(FRIDAY, CAP), *((midnight, CAP * day) for day, midnight in enumerate(MIDNIGHTS, 2)), (MONDAY, CAP * DAYS)]
    parts = [
        svg.text(LEFT, 44, "One bug, one weekend", size=26),
        svg.text(LEFT, 72, "US dollars spent by a caller that retries a broken answer for 60 hours", kind="note"),
        *upper.axes([0, 20_000, 40_000, 60_000, 80_000]),
        upper.steps(_points(weekend.naive), "bad"),
        upper.steps(_points(weekend.guarded), "good"),
        svg.text(
            upper.x(MIDNIGHTS[1]),
            upper.y(Decimal(52_000)),
            f"the bug alone: {naive}",
            size=18,
            anchor="end",
            kind="bad",
        ),
        svg.text(
            RIGHT - 10, upper.y(Decimal(2_600)), f"behind the gateway: {guarded}", size=18, anchor="end", kind="good"
        ),
        svg.text(LEFT, LOWER[0] - 18, f"Magnified: the gateway's daily cap of ${CAP} renews at midnight", size=16),
        *lower.axes([int(CAP) * day for day in range(DAYS + 1)]),
        lower.steps(caps, "cap"),
        lower.steps(_points(weekend.guarded), "good"),
        svg.text(
            lower.x(MIDNIGHTS[1]) - 10, lower.y(CAP * 2) - 7, "what the cap allows", size=12, anchor="end", kind="note"
        ),
    ]
    return svg.document(WIDTH, HEIGHT, f"One bug, one weekend: {naive} alone, {guarded} behind the gateway", parts)


def _points(account: Account) -> list[tuple[datetime, Decimal]]:
    return [(FRIDAY, Decimal(0)), *account.curve]
