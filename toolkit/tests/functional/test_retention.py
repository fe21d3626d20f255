"""Old rows are deleted and users erased, while budgets keep their numbers. On both databases."""

# ruff: noqa: S608 - values are never formatted into a statement, only table names

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ai_base.llm.errors import BudgetExceededError, LedgerError
from ai_base.llm.ledger import database, retention
from ai_base.llm.ledger.audit import differences
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, Step, new_id, now, simulated_time
from ai_base.llm.ledger.retention import Pruned

CENT = 10_000_000
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
YESTERDAY, TODAY = "2026-11-24", "2026-11-25"
MONTH = "overall, month 2026-11"


@pytest.fixture(autouse=True)
def noon() -> Any:
    """It is noon, whenever the test runs."""
    with simulated_time(lambda: NOON):
        yield


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(database_url)
    yield ledger
    await ledger.close()


async def spend(ledger: Ledger, days_ago: int = 0, user: str = "", *, record: bool = True) -> Interaction:
    """Make a call that costs a cent, with a step of an agent."""
    at = (NOON - timedelta(days=days_ago)).isoformat(timespec="microseconds")
    asked = Interaction(new_id(), at, cost_center="support", user=user, request="Who am I?", correlation_id="c")
    tried = Attempt(new_id(), asked.id, 1, "main", at, cost_center="support", user=user, error="said I", cost=CENT)
    tried.reserved = CENT
    await ledger.reserve(tried, asked, {}, 60)
    await ledger.settle(tried)
    await ledger.add_steps([Step(new_id(), asked.id, asked.id, at, thought="I see")])
    if record:
        await ledger.record(asked, answer=(f"key {asked.id}", '"you"'))
    return asked


async def question(ledger: Ledger, asked: Interaction, *, answer: str = "") -> str:
    waiting = Escalation(new_id(), asked.id, asked.started_at, new_id(), "unsure", "triage", "Who am I?")
    await ledger.escalate(waiting)
    if answer:
        await ledger.answer(waiting.id, answer, "Ada")
    return waiting.id


async def rows(ledger: Ledger) -> dict[str, int]:
    tables = ("interactions", "attempts", "escalations", "steps")
    counts = [await ledger.database.execute(f"SELECT count(*) FROM {table}") for table in tables]
    return {table: count for table, [[count]] in zip(tables, counts, strict=True)}


# ---- By age ----


async def test_old_rows_are_deleted_and_new_ones_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    for days_ago in (9, 8, 7, 6, 5):
        await question(ledger, await spend(ledger, days_ago), answer="you")
    new = await spend(ledger, 1)
    await question(ledger, new, answer="you")

    assert await ledger.prune(YESTERDAY) == Pruned(5, 5, 5, 5)

    assert await rows(ledger) == {"interactions": 1, "attempts": 1, "escalations": 1, "steps": 1}
    assert (await ledger.interaction(new.id))[0].request == "Who am I?"
    assert await ledger.prune(YESTERDAY) == Pruned()
    assert await differences(ledger) == []


async def test_a_dry_run_counts_and_changes_nothing(ledger: Ledger) -> None:
    await spend(ledger, 9)
    await spend(ledger, 9, "ada")

    assert await ledger.prune(YESTERDAY, dry_run=True) == Pruned(2, 2, 0, 2)
    assert await ledger.erase_user("ada", dry_run=True) == Pruned(1, 1, 0, 1)

    assert await rows(ledger) == {"interactions": 2, "attempts": 2, "escalations": 0, "steps": 2}
    assert [row.user for row in await ledger.interactions(2)] == ["ada", ""]
    assert await ledger.database.execute("SELECT * FROM pruned") == []


async def test_caps_count_what_was_spent_in_rows_that_are_deleted(ledger: Ledger) -> None:
    await spend(ledger, 2)
    await spend(ledger)

    await ledger.prune(TODAY)

    asked = Interaction(new_id(), now())
    tried = Attempt(new_id(), asked.id, 1, "main", now(), reserved=CENT)
    with pytest.raises(BudgetExceededError, match=r"spent \$0\.02,"):
        await ledger.reserve(tried, asked, {MONTH: 3 * CENT - 1}, 60)
    assert [(row.name, row.cost) for row in await ledger.spend("day")] == [("2026-11-23", CENT), (TODAY, CENT)]


async def test_what_waits_for_a_person_or_is_in_progress_is_kept(ledger: Ledger) -> None:
    waiting, progressing = await spend(ledger, 9), await spend(ledger, 9, record=False)
    await spend(ledger, 9)
    escalation = await question(ledger, waiting)

    assert await ledger.prune(YESTERDAY) == Pruned(1, 1, 0, 1, kept=1)

    assert [row.id for row in await ledger.escalations()] == [escalation]
    assert len((await ledger.interaction(waiting.id))[1]) == 1
    assert len(await ledger.steps(waiting.id)) == 1
    await ledger.record(progressing)
    assert len((await ledger.interaction(progressing.id))[1]) == 1


async def test_a_reservation_from_before_is_settled_afterwards(ledger: Ledger) -> None:
    at = (NOON - timedelta(days=9)).isoformat(timespec="microseconds")
    asked = Interaction(new_id(), at)
    tried = Attempt(new_id(), asked.id, 1, "main", at, reserved=CENT, cost=CENT)
    await ledger.reserve(tried, asked, {}, 60)

    await ledger.prune(YESTERDAY)

    assert await ledger.settle(tried)
    await ledger.record(asked)
    assert (await ledger.interaction(asked.id)) == (asked, [tried])


@pytest.mark.parametrize(
    ("before", "message"),
    [("yesterday", "'yesterday' is no time; give a day such as 2026-11-23"), ("2026-11-26", "lies in the future")],
)
async def test_an_invalid_or_future_time_deletes_nothing(ledger: Ledger, before: str, message: str) -> None:
    await spend(ledger)

    with pytest.raises(LedgerError, match=message):
        await ledger.prune(before)

    assert await rows(ledger) == {"interactions": 1, "attempts": 1, "escalations": 0, "steps": 1}


async def test_pruning_is_the_only_way_to_delete(ledger: Ledger) -> None:
    await spend(ledger, 9)
    await ledger.prune(YESTERDAY)
    await spend(ledger)

    for table in ("attempts", "interactions"):
        with pytest.raises(LedgerError, match="rows are only added"):
            await ledger.database.execute(f"DELETE FROM {table}")


# ---- A user ----


async def test_a_user_is_erased_and_the_costs_stay(ledger: Ledger) -> None:
    asked, other = await spend(ledger, 40, "ada"), await spend(ledger, 0, "ada lovelace")
    await question(ledger, asked, answer="you")
    await spend(ledger, 0, "ada")

    assert await ledger.erase_user("ada") == Pruned(2, 2, 1, 2)

    row, [attempt] = await ledger.interaction(asked.id)
    assert [row.user, row.request, row.response, row.correlation_id, row.cache_key] == [""] * 5
    assert (attempt.user, attempt.error, attempt.cost) == ("", "", CENT)
    assert await ledger.steps(asked.id) == []
    assert await ledger.escalations(open_only=False) == []
    assert (await ledger.interaction(other.id))[0].request == "Who am I?"
    assert sum(row.cost for row in await ledger.spend("day")) == 3 * CENT
    assert await differences(ledger) == []


async def test_an_erased_users_caps_hold_until_the_month_ends(ledger: Ledger) -> None:
    await spend(ledger, 1, "ada")
    await spend(ledger, 0, "ada")

    await ledger.erase_user("ada")

    asked = Interaction(new_id(), now(), user="ada")
    tried = Attempt(new_id(), asked.id, 1, "main", now(), user="ada", reserved=CENT)
    for scope, spent in (("user ada, day 2026-11-25", "0.01"), ("user ada, month 2026-11", "0.02")):
        with pytest.raises(BudgetExceededError, match=rf"{scope}: .* spent \${spent},"):
            await ledger.reserve(tried, asked, {scope: CENT}, 60)
    assert await differences(ledger) == []

    def names() -> Any:
        return ledger.database.execute("SELECT scope FROM counters WHERE scope LIKE ?", ("user%",))

    assert "user ada, day 2026-11-24" not in {scope for (scope,) in await names()}
    with simulated_time(lambda: datetime(2026, 12, 1, 0, 1, tzinfo=UTC)):
        await ledger.recover()
    assert await names() == []


async def test_a_user_with_a_call_in_flight_is_not_erased(ledger: Ledger) -> None:
    asked = await spend(ledger, 0, "ada", record=False)

    with pytest.raises(LedgerError, match="user 'ada' has calls in flight; try again when they have ended"):
        await ledger.erase_user("ada")
    await ledger.record(asked)

    assert (await ledger.erase_user("ada")).interactions == 1


async def test_a_user_whose_question_waits_for_a_person_is_not_erased(ledger: Ledger) -> None:
    waiting = await question(ledger, await spend(ledger, 0, "ada"))

    with pytest.raises(LedgerError, match="a question of user 'ada' waits for a person; answer it first"):
        await ledger.erase_user("ada")
    assert [row.user for row in await ledger.interactions(9)] == ["ada"]
    await ledger.answer(waiting, "you", "Ada")

    assert (await ledger.erase_user("ada")).escalations == 1


def test_nothing_of_an_erased_user_stays_in_the_files(tmp_path: Path, look: Any) -> None:
    async def work(ledger: Ledger) -> tuple[int, int]:
        asked = await spend(ledger, 0, "ada")
        await question(ledger, asked, answer="you")
        before = _occurrences(tmp_path, b"Who am I?")
        await ledger.erase_user("ada")
        return before, _occurrences(tmp_path, b"Who am I?")  # while the log is still there

    before, after = look(f"sqlite:///{tmp_path}/ledger.db", work)

    assert before > 0
    assert after == 0


def _occurrences(folder: Path, text: bytes) -> int:
    return sum(path.read_bytes().count(text) for path in folder.iterdir())


def test_copies_in_a_log_that_is_in_use_are_reported(
    tmp_path: Path, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"

    async def work(ledger: Ledger) -> Pruned:
        await spend(ledger, 0, "ada")
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM interactions").fetchall()
        monkeypatch.setattr(database, "WAIT", 0)
        with pytest.raises(
            LedgerError, match="the rows are deleted, but the log, which holds copies, is in use; retry"
        ):
            await ledger.erase_user("ada")
        reader.close()
        return await ledger.erase_user("ada")

    assert look(f"sqlite:///{path}", work) == Pruned()
