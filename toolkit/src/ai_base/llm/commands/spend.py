"""The command `spend`."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from ai_base.cli import echo
from ai_base.llm.commands.bar_chart import bar_chart
from ai_base.llm.commands.opened_ledger import with_ledger
from ai_base.llm.commands.tables import money, print_table
from ai_base.llm.errors import LLMError
from ai_base.llm.ledger.records import now
from ai_base.llm.money import dollars


def spend(
    by: Annotated[Literal["cost_center", "model", "prompt", "day"], typer.Option(help="Add up by this.")] = "day",
    since: Annotated[
        str, typer.Option(help="First day, UTC: today, yesterday, 7d (the last 7 days), 2026-11-23.")
    ] = "",
    plot: Annotated[Path | None, typer.Option(help="Also draw a picture into this file, such as spend.svg.")] = None,
) -> None:
    """Show what was spent."""
    first_day = _first_day(since)
    rows = with_ledger(lambda ledger: ledger.spend(by, first_day))
    if not rows:
        period = f"since {first_day}" if first_day else "yet"
        echo(f"Nothing was spent {period}. Each call of a model is recorded; ask one, then look again.", err=True)
        return
    header = (by, "calls", "input tokens", "output tokens", "US dollars")
    print_table(header, [(*row[:4], dollars(row.cost)) for row in rows], flexible=[by])
    echo(f"total: {money(dollars(sum(row.cost for row in rows)))}")
    if plot:
        if plot.suffix.lower() != ".svg":
            raise typer.BadParameter(f"the picture is SVG; name it {plot.with_suffix('.svg')}", param_hint="--plot")
        picture = bar_chart(
            f"Spend by {by.replace('_', ' ').replace('center', 'centre')}",
            [(row.name, dollars(row.cost)) for row in rows],
        )
        try:
            plot.write_text(picture, encoding="utf-8")
        except OSError as error:
            raise LLMError(f"{plot}: {error.strerror}") from error
        echo(f"picture: {plot}")


def _first_day(text: str) -> str:
    """Read a day, relative or as YYYY-MM-DD; return it as YYYY-MM-DD; an empty text stays empty."""
    today = date.fromisoformat(now()[:10])
    if text in ("", "today", "yesterday"):
        return {"": "", "today": f"{today}", "yesterday": f"{today - timedelta(days=1)}"}[text]
    if days := re.fullmatch(r"(\d{1,4})d", text):
        return f"{today - timedelta(days=int(days[1]))}"
    try:
        return f"{date.fromisoformat(text)}"
    except ValueError:
        raise typer.BadParameter("say today, yesterday, 7d or a day such as 2026-11-23", param_hint="--since") from None
