"""The ledger on real databases: what it holds, what it refuses, and what it finds again after a crash."""

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from ai_base.llm.errors import BudgetExceededError, LedgerError, LedgerSchemaError
from ai_base.llm.ledger import schema
from ai_base.llm.ledger.audit import differences
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.process_identity import owner
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, Step, new_id, now
from ai_base.llm.ledger.reports import SpendRow
from ai_base.llm.ledger.schema import Migration

AT = now()
NEWEST = schema.MIGRATIONS[-1].version
DAY, HOUR = f"overall, day {AT[:10]}", f"cost center support, hour {AT[:13]}"
CENT = 10_000_000


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(database_url)
    yield ledger
    await ledger.close()


def interaction(**fields: Any) -> Interaction:
    return Interaction(new_id(), AT, cost_center="support", **fields)


def attempt(of: Interaction, cost: int = CENT, **fields: Any) -> Attempt:
    kind: dict[str, Any] = {"candidate": "fast", "model": "m-1", "prompt": "triage", "reserved": CENT}
    kind |= {"started_at": AT, "cost_center": "support", "input_tokens": 500, "output_tokens": 100}
    return Attempt(new_id(), of.id, 1, cost=cost, **kind | fields)


async def reserve(ledger: Ledger, cap: int | None, amount: int = CENT, expires_in: float = 60) -> Attempt:
    asked = interaction()
    tried = attempt(asked, reserved=amount)
    await ledger.reserve(tried, asked, {DAY: cap, HOUR: None}, expires_in)
    return tried


async def counters(ledger: Ledger) -> dict[str, tuple[int, int]]:
    async with ledger.database.transaction(read_only=True) as execute:
        rows = await execute("SELECT scope, spent, held FROM counters")
    return {scope: (spent, held) for scope, spent, held in rows if scope in (DAY, HOUR)}


async def test_what_is_held_counts_against_the_cap_and_a_refusal_changes_nothing(ledger: Ledger) -> None:
    await reserve(ledger, cap=3 * CENT)
    await reserve(ledger, cap=3 * CENT)

    with pytest.raises(BudgetExceededError) as refused:
        await reserve(ledger, cap=3 * CENT - 1)

    error = refused.value
    assert (error.scope, error.cap, error.spent, error.held, error.asked) == (
        DAY,
        Decimal("0.029999999"),
        Decimal(0),
        Decimal("0.02"),
        Decimal("0.01"),
    )
    assert await counters(ledger) == {DAY: (0, 2 * CENT), HOUR: (0, 2 * CENT)}
    await reserve(ledger, cap=3 * CENT)  # up to the cap, to the nanodollar
    assert (await counters(ledger))[DAY] == (0, 3 * CENT)


async def test_a_scope_without_a_cap_is_counted_for_the_cap_to_come(ledger: Ledger) -> None:
    assert await ledger.settle(await reserve(ledger, cap=None))

    with pytest.raises(BudgetExceededError, match=r"cap \$0.015, spent \$0.01, .* \$0; this call could cost \$0.01"):
        await reserve(ledger, cap=CENT * 3 // 2)


async def test_a_settlement_frees_what_was_not_spent_and_is_made_once(ledger: Ledger) -> None:
    tried = await reserve(ledger, cap=None, amount=5 * CENT)

    assert await ledger.settle(tried)
    assert not await ledger.settle(tried)

    assert await counters(ledger) == {DAY: (CENT, 0), HOUR: (CENT, 0)}
    assert await differences(ledger) == []


async def test_an_interaction_and_its_attempts_are_read_back_as_written(ledger: Ledger) -> None:
    asked = interaction(request="Grüße 👋", user="u", correlation_id="c", prompt="triage", status="ok")
    asked.confidence, asked.latency_ms = 0.75, 12.5
    first, second = attempt(asked), attempt(asked, candidate="strong")
    second.number, second.context_used = 2, 0.25
    for tried in (second, first):
        await ledger.reserve(tried, asked, {DAY: None}, 60)
        await ledger.settle(tried)
    await ledger.record(asked)
    await ledger.record(interaction())

    assert await ledger.interaction(asked.id) == (asked, [first, second])
    assert (await ledger.interaction(asked.id[:30]))[0] == asked


async def test_text_that_no_database_takes_is_stored_without_what_it_cannot_take(ledger: Ledger) -> None:
    asked = interaction(response="nul \0, half of a pair \ud800")
    tried = attempt(asked)
    await ledger.reserve(tried, asked, {DAY: None}, 60)
    await ledger.settle(tried)
    await ledger.record(asked)

    assert (await ledger.interaction(asked.id))[0].response == "nul \ufffd, half of a pair ?"


async def test_the_start_of_an_id_has_to_fit_one_interaction(ledger: Ledger) -> None:
    one, other = interaction(), interaction()
    await ledger.record(one)
    await ledger.record(other)

    with pytest.raises(LedgerError, match="several interactions start with '1'"):
        await ledger.interaction("1")
    with pytest.raises(LedgerError, match="no interaction starts with '%'"):
        await ledger.interaction("%")
    with pytest.raises(LedgerError, match="no interaction starts with '0000'"):
        await ledger.interaction("0000")


async def test_interactions_are_found_by_their_fields_newest_first(ledger: Ledger) -> None:
    rows = [interaction(status=status, user="o'neil") for status in ("ok", "failed", "ok", "ok")]
    for row in rows:
        await ledger.record(row)

    assert await ledger.interactions(2, status="ok", user="o'neil", model=None) == [rows[3], rows[2]]
    assert await ledger.interactions(9, user="nobody") == []
    with pytest.raises(LedgerError, match="no field colour"):
        await ledger.interactions(1, colour="red")


async def test_spend_is_added_up_by_name_and_day(ledger: Ledger) -> None:
    for day, model, cost in [("22", "m-1", 1), ("23", "m-2", 5), ("23", "m-1", 3)]:
        asked = interaction()
        tried = attempt(asked, cost, model=model)
        tried.started_at = f"2026-11-{day}T10:00:00.000000+00:00"
        await ledger.reserve(tried, asked, {}, 60)
        await ledger.settle(tried)

    assert await ledger.spend("model") == [SpendRow("m-2", 1, 500, 100, 5), SpendRow("m-1", 2, 1000, 200, 4)]
    assert await ledger.spend("day") == [
        SpendRow("2026-11-22", 1, 500, 100, 1),
        SpendRow("2026-11-23", 2, 1000, 200, 8),
    ]
    assert await ledger.spend("cost_center", since="2026-11-23") == [SpendRow("support", 2, 1000, 200, 8)]
    assert await ledger.spend("prompt", since="2026-11-24") == []


@pytest.mark.parametrize("change", ["UPDATE {} SET cost = 0", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["attempts", "interactions"])
async def test_rows_are_only_added(ledger: Ledger, table: str, change: str) -> None:
    tried = await reserve(ledger, cap=None)
    await ledger.settle(tried)
    await ledger.record(interaction())

    with pytest.raises(LedgerError, match="rows are only added"):
        async with ledger.database.transaction() as execute:
            await execute(change.format(table))


async def test_check_tells_what_does_not_agree(ledger: Ledger) -> None:
    await ledger.settle(await reserve(ledger, cap=None))
    async with ledger.database.transaction() as execute:
        await execute("UPDATE counters SET spent = 0, held = 7 WHERE scope = ?", (DAY,))

    assert await differences(ledger) == [
        f"{DAY}, spent: 0, by rows 0.01",
        f"{DAY}, held: 0.000000007, by rows 0",
    ]


# ---- What nobody settled ----


async def test_an_expired_reservation_is_charged_in_full_once(ledger: Ledger) -> None:
    tried = await reserve(ledger, cap=None, amount=4 * CENT, expires_in=-1)
    kept = await reserve(ledger, cap=None)

    assert (await ledger.recover(), await ledger.recover()) == (1, 0)

    assert not await ledger.settle(tried)
    assert (await counters(ledger))[DAY] == (4 * CENT, CENT)
    assert (await ledger.spend("model"))[0].cost == 4 * CENT
    assert await ledger.settle(kept)
    assert await differences(ledger) == []


async def test_a_reservation_sweeps_up_the_expired_ones(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await reserve(ledger, cap=None, amount=4 * CENT, expires_in=-1)
    monkeypatch.setattr(ledger, "_next_recovery", 0.0)

    await reserve(ledger, cap=None)

    assert (await counters(ledger))[DAY] == (4 * CENT, CENT)


async def test_what_a_dead_process_left_is_charged_by_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await Ledger.open(database_url)
    here = owner().rsplit(":", 2)[0]
    monkeypatch.setattr("ai_base.llm.ledger.reservations.owner", lambda: f"{here}:{os.getpid()}:of-another")
    asked = interaction(prompt="triage")
    settled, lost = attempt(asked, CENT), attempt(asked)
    for tried in (settled, lost):
        tried.reserved = 4 * CENT
        await first.reserve(tried, asked, {DAY: None}, math.inf)
    await first.settle(settled)
    await first.close()

    second = await Ledger.open(database_url)

    row, attempts = await second.interaction(asked.id)
    assert (row.status, row.calls, row.cost, row.prompt) == ("lost", 2, 5 * CENT, "triage")
    found = {row.id: (row.status, row.cost, row.cost_basis, row.reserved) for row in attempts}
    assert found[lost.id] == ("lost", 4 * CENT, "assumed", 4 * CENT)
    assert (await counters(second))[DAY] == (5 * CENT, 0)
    assert await differences(second) == []
    await second.close()


async def test_what_a_living_process_holds_is_left_alone(ledger: Ledger, database_url: str) -> None:
    tried = await reserve(ledger, cap=None)

    other = await Ledger.open(database_url)

    assert await ledger.settle(tried)
    assert await other.recover() == 0
    assert await differences(other) == []
    await other.close()


# ---- Answers ----


async def remember(ledger: Ledger, key: str, output: str) -> None:
    await ledger.record(Interaction(new_id(), now()), answer=(key, output))


async def test_an_answer_is_remembered_for_as_long_as_one_asks(ledger: Ledger) -> None:
    await remember(ledger, "key", '"old"')
    await remember(ledger, "key", '"new"')

    assert await ledger.cached("key", 60) == '"new"'
    assert await ledger.cached("other", 60) is None
    assert await ledger.cached("key", -1) is None


def question(key: str = "key") -> Escalation:
    return Escalation(new_id(), new_id(), now(), key, "unsure", "triage", "Is it a bug?")


async def test_equal_questions_wait_as_one_and_share_the_answer(ledger: Ledger) -> None:
    asked = question()
    assert await ledger.escalate(asked) == asked.id
    assert await ledger.escalate(question()) == asked.id
    other = await ledger.escalate(question("other"))
    assert await ledger.answered("key") is None

    await ledger.answer(asked.id, '{"category": "bug"}', "Ada")

    found = await ledger.answered("key")
    assert found is not None
    assert (found.id, found.answer, found.answered_by) == (asked.id, '{"category": "bug"}', "Ada")
    assert [row.id for row in await ledger.escalations()] == [other]
    assert [row.id for row in await ledger.escalations(open_only=False)] == [asked.id, other]


async def test_the_newest_answer_counts(ledger: Ledger) -> None:
    for text in ("first", "second"):
        await ledger.answer(await ledger.escalate(question()), text, "Ada")

    found = await ledger.answered("key")

    assert found is not None
    assert found.answer == "second"


async def test_a_question_is_answered_once(ledger: Ledger) -> None:
    asked = await ledger.escalate(question())
    await ledger.answer(asked, "yes", "Ada")

    with pytest.raises(LedgerError, match="has been answered by Ada"):
        await ledger.answer(asked, "no", "Bob")
    with pytest.raises(LedgerError, match="escalation 'nonsense' does not exist"):
        await ledger.answer("nonsense", "no", "Bob")


async def test_an_answer_with_personal_data_is_refused(ledger: Ledger) -> None:
    asked = await ledger.escalate(question())

    with pytest.raises(LedgerError, match=r"this answer has some: Write to \[email\]"):
        await ledger.answer(asked, "Write to bob@example.com", "Ada")

    assert [row.id for row in await ledger.escalations()] == [asked]


# ---- Schema ----


async def test_a_newer_database_is_refused_and_left_as_it_is(ledger: Ledger, database_url: str) -> None:
    async with ledger.database.transaction() as execute:
        await execute("INSERT INTO schema VALUES (99, 0)")
    await reserve(ledger, cap=None, expires_in=-1)

    with pytest.raises(LedgerSchemaError, match=r"has schema 99, this version needs 1: update the application"):
        await Ledger.open(database_url)

    assert (await counters(ledger))[DAY] == (0, CENT)


async def test_a_newer_minor_version_does_not_break_an_older_process(ledger: Ledger, database_url: str) -> None:
    """Such a version has added a column to each table, and to the records of reservations."""
    before = await reserve(ledger, cap=None)
    async with ledger.database.transaction() as execute:
        for table in (*schema.TABLES.values(), "counters", "reservations", "spend_by_day"):
            await execute(f"ALTER TABLE {table} ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
        await execute("INSERT INTO schema VALUES (?, ?)", (NEWEST[0], 99))
    lost = await reserve(ledger, cap=None, expires_in=-1)
    [[record]] = await ledger.database.execute("SELECT record FROM reservations WHERE id = ?", (lost.id,))
    newer = json.dumps({**json.loads(record), "colour": "red"})
    await ledger.database.execute("UPDATE reservations SET record = ? WHERE id = ?", (newer, lost.id))

    for older in (ledger, await Ledger.open(database_url)):
        asked = interaction(response="yes")
        tried = attempt(asked)
        await older.reserve(tried, asked, {DAY: None}, 60)
        assert await older.settle(tried)
        await older.record(asked, answer=("key", "yes"))
        waiting = await older.escalate(question(asked.id))
        await older.answer(waiting, "no", "Ada")
        await older.add_steps([Step(new_id(), asked.id, asked.id, AT)])
        assert (await older.interaction(asked.id))[1] == [tried]
        assert await older.cached("key", math.inf) == "yes"
        assert len(await older.steps(asked.id)) == 1
    assert await ledger.settle(before)
    [[status]] = await older.database.execute("SELECT status FROM attempts WHERE id = ?", (lost.id,))
    assert status == "lost"
    assert await differences(older) == []
    await older.close()


async def test_an_older_database_takes_the_steps_that_it_lacks(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.settle(await reserve(ledger, cap=None))
    steps = (
        Migration((1, 0), ("CREATE TABLE not_again (id TEXT)",)),
        Migration((1, 90), ("ALTER TABLE counters ADD COLUMN colour TEXT",)),
        Migration((2, 0), ("UPDATE counters SET colour = 'red'",)),
    )
    monkeypatch.setattr(schema, "MIGRATIONS", steps)

    for _ in range(2):  # the second time there is nothing to do
        again = await Ledger.open(database_url)
        async with again.database.transaction(read_only=True) as execute:
            assert await execute("SELECT DISTINCT colour FROM counters") == [("red",)]
            assert await execute("SELECT major, minor FROM schema ORDER BY 1, 2") == [NEWEST, (1, 90), (2, 0)]
        assert (await counters(again))[DAY] == (CENT, 0)
        await again.close()


async def test_a_ledger_without_the_steps_of_agents_gets_their_table(ledger: Ledger, database_url: str) -> None:
    async with ledger.database.transaction() as execute:
        await execute("DROP TABLE steps")
        await execute("ALTER TABLE escalations DROP COLUMN used_at")
        await execute("UPDATE schema SET major = 1, minor = 0")

    again = await Ledger.open(database_url)

    await again.add_steps([Step("1" * 32, "run", "asked", now(), thought="why")])
    assert [step.thought for step in await again.steps("asked")] == ["why"]
    assert await again.use_approval("none") is False
    await again.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Migration((1, 90), ("DROP TABLE counters", "ALTER TABLE nowhere ADD COLUMN colour TEXT"))
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))

    with pytest.raises(LedgerError, match="nowhere"):
        await Ledger.open(database_url)

    assert await counters(ledger) == {}


async def test_a_ledger_is_opened_again_with_all_that_it_held(ledger: Ledger, database_url: str) -> None:
    await ledger.settle(await reserve(ledger, cap=None))

    again = await Ledger.open(database_url)

    assert await counters(again) == {DAY: (CENT, 0), HOUR: (CENT, 0)}
    await again.close()


# ---- At once ----


async def test_new_counters_lead_to_no_deadlock(ledger: Ledger) -> None:
    """At the turn of an hour, say: everybody needs rows that nobody has made yet."""

    async def one(hour: int, number: int) -> bool:
        asked = interaction()
        tried = attempt(asked, started_at=f"2026-11-{hour + 1:02}T14:00:00", cost_center=f"team {number % 6}")
        await asyncio.sleep(number / 5000)
        await ledger.reserve(tried, asked, {}, 60)
        return await ledger.settle(tried)

    for hour in range(15):
        assert all(await asyncio.gather(*[one(hour, number) for number in range(24)]))
    assert await differences(ledger) == []


async def test_calls_at_once_share_a_cap(ledger: Ledger) -> None:
    async def one() -> bool:
        try:
            tried = await reserve(ledger, cap=10 * CENT)
        except BudgetExceededError:
            return False
        await asyncio.sleep(0)
        return await ledger.settle(tried)

    assert sum(await asyncio.gather(*[one() for _ in range(40)])) == 10
    assert await counters(ledger) == {DAY: (10 * CENT, 0), HOUR: (10 * CENT, 0)}
    assert await differences(ledger) == []


async def test_an_attempt_is_written_once(ledger: Ledger) -> None:
    asked = interaction()
    tried = attempt(asked)
    await ledger.reserve(tried, asked, {DAY: None}, 60)
    await ledger.settle(tried)

    await ledger.reserve(tried, asked, {DAY: None}, 60)

    with pytest.raises(LedgerError, match=r"(?i)unique"):
        await ledger.settle(tried)

    assert (await counters(ledger))[DAY] == (CENT, CENT)
    assert await differences(ledger) == []
