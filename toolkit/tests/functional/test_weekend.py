"""The demonstration has one outcome on every machine: the bug alone spends $72,028.80, behind the gateway $295.20."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ai_base.demo.weekend import callers
from ai_base.demo.weekend.callers import Weekend
from ai_base.demo.weekend.picture import draw
from ai_base.demo.weekend.story import BILLED, CAP, DAYS, FRIDAY, MONDAY, STANDS_FOR, STEP
from ai_base.llm.ledger.records import now

pytestmark = pytest.mark.slow

STEPS = 976
"""Requests that a caller makes between Friday and Monday."""

ONE_REQUEST = STANDS_FOR * Decimal("0.246")
"""8,000 tokens at $30 and 100 at $60 per million tokens."""


def test_the_whole_weekend(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLM__BUDGETS__COST_CENTERS__BATCH__DAY=0\n", encoding="utf-8")  # the project's own

    result = subprocess.run(
        [sys.executable, "-m", "ai_base.demo.weekend", "--out", "spend.svg"],
        cwd=tmp_path,
        env={**os.environ, "LLM__BUDGETS__OVERALL__DAY": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[2:] == [
        "                                           the bug alone    with the gateway",
        "requests that were billed                            976                   4",
        "requests refused before they were sent                 0                 976",
        "the provider's bill                           $72,028.80             $295.20",
        "the caller's own count; the ledger            $72,028.80             $295.20",
        "cap                                                 none  $100 a day, 4 days",
        "",
        "The ledger equals the provider's bill.",
        "Picture: spend.svg",
    ]
    progress = result.stderr.splitlines()
    assert len(progress) == 10
    assert progress[-1] == f"[{'#' * 30}] Mon 09:01  bug $72,028.80  gateway $295.20"
    drawn = "".join(ET.parse(tmp_path / "spend.svg").getroot().itertext())  # noqa: S314 - our own
    assert "$72,028.80" in drawn
    assert "$295.20" in drawn


@pytest.fixture(scope="module")
def saturday(tmp_path_factory: pytest.TempPathFactory) -> Weekend:
    """From Friday 21:00 to Saturday 6:00."""
    folder = tmp_path_factory.mktemp("weekend")
    return asyncio.run(callers.run(folder, lambda _: None, until=FRIDAY + timedelta(hours=9)))


def test_the_bug_alone_is_billed_for_every_request(saturday: Weekend) -> None:
    assert saturday.naive_requests == len(saturday.naive.curve) == -(-timedelta(hours=9) // STEP)
    assert saturday.naive.spent == saturday.naive_requests * ONE_REQUEST
    assert BILLED == ONE_REQUEST


def test_the_guarded_caller_is_held_to_its_cap_which_renews_at_midnight(saturday: Weekend) -> None:
    """One request a day fits under the cap; the next one would pass it."""
    assert ONE_REQUEST < CAP < 2 * ONE_REQUEST
    midnight = FRIDAY + timedelta(hours=3)
    before = {spent for time, spent in saturday.guarded.curve if time <= midnight}
    after = {spent for time, spent in saturday.guarded.curve if time > midnight + STEP}

    assert before == {ONE_REQUEST}
    assert after == {2 * ONE_REQUEST}
    assert saturday.guarded_requests == 2
    assert saturday.guarded.refused == len(saturday.guarded.curve)


def test_the_clock_is_the_real_one_again_afterwards(saturday: Weekend) -> None:
    assert now()[:10] != f"{saturday.now:%Y-%m-%d}"


@pytest.fixture
def weekend() -> Weekend:
    """A whole weekend as it turns out, without asking anybody."""
    times = [FRIDAY + step * STEP for step in range(1, STEPS + 1)]
    whole = Weekend(now=times[-1])
    whole.naive.curve = [(time, ONE_REQUEST * step) for step, time in enumerate(times, 1)]
    whole.guarded.curve = [
        (time, ONE_REQUEST * ((time - STEP).date() - FRIDAY.date()).days + ONE_REQUEST) for time in times
    ]
    whole.naive.spent, whole.guarded.spent = whole.naive.curve[-1][1], whole.guarded.curve[-1][1]
    return whole


def test_the_picture_shows_both_curves_and_the_daily_cap_within_the_frame(weekend: Weekend) -> None:
    picture = ET.fromstring(draw(weekend))  # noqa: S314 - our own
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])

    paths = [path.attrib["class"] for path in picture.findall("{*}path")]
    rises = [path.attrib["d"].count("V") for path in picture.findall("{*}path")]

    assert weekend.guarded.spent == DAYS * ONE_REQUEST
    assert paths == ["bad", "good", "cap", "good"]
    assert rises == [STEPS, DAYS, DAYS - 1, DAYS]
    for text in picture.findall("{*}text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 0 < float(text.attrib["y"]) < height
    style = picture.findtext("{*}style") or ""
    assert "prefers-color-scheme: dark" in style


def test_sixty_hours_at_the_real_pace_come_to_72_000_dollars() -> None:
    assert (MONDAY - FRIDAY) / STEP * float(ONE_REQUEST) == pytest.approx(72_000, rel=0.001)
