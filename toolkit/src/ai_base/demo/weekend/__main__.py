"""Runs the weekend, shows its progress, and writes the picture."""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from ai_base.demo.weekend import callers
from ai_base.demo.weekend.callers import Weekend
from ai_base.demo.weekend.picture import draw
from ai_base.demo.weekend.story import BILLED, CAP, DAYS, FRIDAY, MONDAY, STANDS_FOR

BAR = 30
"""Characters of the progress bar."""


class Progress:
    """Shows how far the weekend is: one line that changes on a terminal, elsewhere a line for each tenth."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.shown = 0

    def show(self, weekend: Weekend) -> None:
        """Show the progress, if it has changed visibly."""
        passed = min(1.0, (weekend.now - FRIDAY) / (MONDAY - FRIDAY))
        step = int(passed * (10 * BAR if self.terminal else 10))
        if step == self.shown:
            return
        self.shown = step
        bar = "#" * round(passed * BAR)
        spent = f"bug ${weekend.naive.spent:<9,.2f}  gateway ${weekend.guarded.spent:.2f}"
        line = f"[{bar:<{BAR}}] {weekend.now:%a %H:%M}  {spent}"
        sys.stderr.write(f"\r{line}" + "\n" * (passed >= 1) if self.terminal else f"{line}\n")
        sys.stderr.flush()


def table(weekend: Weekend) -> str:
    """Compare both callers."""
    bills = weekend.naive_requests * BILLED, weekend.guarded_requests * BILLED
    rows = [
        ("", "the bug alone", "with the gateway"),
        ("requests that were billed", f"{weekend.naive_requests:,}", f"{weekend.guarded_requests:,}"),
        ("requests refused before they were sent", f"{weekend.naive.refused:,}", f"{weekend.guarded.refused:,}"),
        ("the provider's bill", f"${bills[0]:,.2f}", f"${bills[1]:,.2f}"),
        ("the caller's own count; the ledger", f"${weekend.naive.spent:,.2f}", f"${weekend.guarded.spent:,.2f}"),
        ("cap", "none", f"${CAP} a day, {DAYS} days"),
    ]
    return "\n".join(f"{name:<40}{left:>16}{right:>20}" for name, left, right in rows)


def main() -> int:
    """Run the demonstration. The exit code is 1 if the ledger differs from the provider's bill."""
    parser = argparse.ArgumentParser(prog="python -m ai_base.demo.weekend", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("weekend.svg"), help="where the picture goes (SVG)")
    out: Path = parser.parse_args().out
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # a line per refusal
    with tempfile.TemporaryDirectory() as folder:
        weekend = asyncio.run(callers.run(Path(folder), Progress().show))
    out.write_text(draw(weekend), encoding="utf-8")
    same = weekend.guarded.spent == weekend.guarded_requests * BILLED
    sys.stdout.write(
        f"60 hours of simulated time. Each request stands for {STANDS_FOR} requests and is billed for all of them.\n\n"
        f"{table(weekend)}\n\n"
        f"The ledger {'equals' if same else 'DIFFERS FROM'} the provider's bill.\nPicture: {out}\n"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
