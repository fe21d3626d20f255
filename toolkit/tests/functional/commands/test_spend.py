"""The command `spend`: sums, days and the picture."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from command_cases import BILL, LEDGER, Run

from ai_base.llm.commands.bar_chart import bar_chart
from ai_base.llm.ledger.records import Attempt, Interaction, simulated_time


def test_spend_is_summed_up(run: Run) -> None:
    run("triage", "-", given=BILL)
    run("triage", "-", given="The app crashes when I open it")

    result = run("spend", "--by", "cost_center")

    assert result.exit_code == 0
    header, row, total = result.stdout.splitlines()
    assert re.split(r"  +", header) == ["cost_center", "calls", "input tokens", "output tokens", "US dollars"]
    assert row.split()[:2] == ["support", "2"]
    assert total == "total: $0.00"


TODAY = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "days"),
    [
        ("today", ["2026-11-25"]),
        ("yesterday", ["2026-11-24", "2026-11-25"]),
        ("7d", ["2026-11-18", "2026-11-24", "2026-11-25"]),
        ("2026-11-24", ["2026-11-24", "2026-11-25"]),
        ("", ["2026-11-17", "2026-11-18", "2026-11-24", "2026-11-25"]),
    ],
)
def test_spend_starts_at_a_day(run: Run, look: Any, since: str, days: list[str]) -> None:
    async def store(ledger: Any) -> None:
        for age in (0, 1, 7, 8):
            started = (TODAY - timedelta(days=age)).isoformat(timespec="microseconds")
            attempt = Attempt(f"attempt{age}", "interaction", 1, "main", started, status="ok", model="m")
            attempt.reserved = attempt.cost = 10**9
            await ledger.reserve(attempt, Interaction("interaction", started), {}, 60)
            await ledger.settle(attempt)

    with simulated_time(lambda: TODAY):
        look(LEDGER, store)
        lines = run("spend", "--since", since).stdout.splitlines()

    assert [line.split()[0] for line in lines[1:-1]] == days
    assert lines[-1] == f"total: ${len(days)}.00"


def test_spend_is_drawn(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--by", "cost_center", "--plot", "spend.svg")

    assert "picture: spend.svg" in result.stdout
    assert "support" in "".join(ET.parse("spend.svg").getroot().itertext())  # noqa: S314 - our own


def test_bars_start_at_zero_and_their_lengths_are_in_proportion() -> None:
    amounts = [("zero", Decimal(0)), ("one", Decimal(1)), ("</text>", Decimal(4))]
    picture = ET.fromstring(bar_chart("Spend", amounts))  # noqa: S314 - our own

    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in picture.findall(".//{*}rect")]

    assert len({x for x, _ in bars}) == 1
    assert [width / bars[2][1] for _, width in bars] == [0, 0.25, 1]
    assert "prefers-color-scheme: dark" in "".join(picture.itertext())


def test_only_svg_is_written(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--plot", "spend.png")

    assert result.exit_code == 2
    assert "name it spend.svg" in result.stderr


def test_a_picture_that_cannot_be_written_is_an_error_in_one_line(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--plot", "no-folder/spend.svg")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no-folder/spend.svg" in result.stderr
