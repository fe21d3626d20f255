"""A ledger that stalls holds no call beyond its deadline, and no caller that is cancelled."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from gateway_cases import ASK, UNSURE, Verdict, answered
from pydantic_ai.exceptions import ModelHTTPError
from stall_cases import FOREVER, SHORT, Stall, set_deadline_soon

from ai_base.llm.cancellation import GRACE, finish_background_work
from ai_base.llm.candidates import attempt as attempts
from ai_base.llm.candidates.attempt import ledger_patience
from ai_base.llm.configuration.config import Budgets
from ai_base.llm.errors import DeadlineExceededError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.ledger.audit import differences
from ai_base.testing.doubles import ScriptedModel

pytestmark = pytest.mark.slow


type Open = Callable[..., AbstractAsyncContextManager[Gateway]]


# ---- The deadline ----


async def test_a_reservation_that_stalls_ends_at_the_deadline(opened: Open, stall: Stall) -> None:
    model = ScriptedModel()
    timing = {"retry": {"deadline": SHORT}, "escalation": {"human": False}}
    async with opened(main=model, **timing) as gateway:
        stall.begin()
        with pytest.raises(DeadlineExceededError, match=r"no answer within 0\.3 s"):
            await gateway.ask(*ASK)
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)
        [row] = await gateway.ledger.interactions(10)
        assert await differences(gateway.ledger) == []

    assert model.prompts == []
    assert (row.status, row.calls, row.cost) == ("failed", 0, 0)


@pytest.mark.parametrize("when_ledger_fails", ["refuse", "spend"])
async def test_a_settlement_that_stalls_ends_at_the_deadline_and_is_made_afterwards(
    opened: Open, stall: Stall, when_ledger_fails: str
) -> None:
    def answer(_: object) -> Any:
        stall.begin()
        set_deadline_soon()
        return "x"

    budgets = {"when_ledger_fails": when_ledger_fails}
    async with opened(main=ScriptedModel(answer), budgets=budgets) as gateway:
        if when_ledger_fails == "spend":
            assert (await gateway.ask(*ASK)).output == "x"
        else:
            with pytest.raises(DeadlineExceededError):
                await gateway.ask(*ASK)
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)
        [row] = await gateway.ledger.interactions(10)
        _, [attempt] = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert (attempt.status, attempt.cost_basis) == ("ok", "reported")
    assert row.cost == attempt.cost > 0


async def test_a_failed_attempt_whose_settlement_stalls_leaves_the_fallback(opened: Open, stall: Stall) -> None:
    """The stale answer is looked for as well, and the ledger does not answer this either."""

    def fail(_: object) -> Any:
        stall.begin()
        set_deadline_soon()
        raise ModelHTTPError(500, "main")

    model = ScriptedModel(answered("Because."), fail)
    async with opened(main=model, backup=ScriptedModel()) as gateway:
        await gateway.ask("plain", {"question": "Another?"})
        answer = await gateway.ask(*ASK, fallback=lambda: "simple")
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)
        assert await differences(gateway.ledger) == []

    assert (answer.output, answer.fallback_reason) == ("simple", "DeadlineExceededError: no answer within 600 s")
    assert attempt.status == "failed"


@pytest.mark.parametrize("stall", ["freeze"], indirect=True)  # SQLite's lock stops no reader
@pytest.mark.parametrize("read", ["person's answer", "cached answer", "headroom"])
async def test_a_read_that_stalls_ends_at_the_deadline(opened: Open, stall: Stall, read: str) -> None:
    model = ScriptedModel()
    options: dict[str, Any] = {
        "person's answer": {"escalation": {"human": True}},
        "cached answer": {"escalation": {"human": False}, "cache": {"fresh": 60}},
        "headroom": {
            "escalation": {"human": False},
            "budgets": {"overall": {"day": "1"}, "soft_landing": {"at": 0.5, "chain": "strong"}},
        },
    }
    timing = {"retry": {"deadline": SHORT}}
    async with opened(main=model, **options[read], **timing) as gateway:
        stall.begin()
        with pytest.raises(DeadlineExceededError):
            await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK, fallback=lambda: "simple")
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)

    assert model.prompts == []
    assert (answer.output, answer.source) == ("simple", "fallback")


async def test_a_question_for_a_person_that_stalls_is_queued_afterwards(opened: Open, stall: Stall) -> None:
    def doubt(_: object) -> float:
        stall.begin()
        set_deadline_soon()
        return 0.1

    async with opened(main=ScriptedModel(UNSURE)) as gateway:
        answer = await gateway.ask(*ASK, output_type=Verdict, confidence=doubt)
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)
        [escalation] = await gateway.ledger.escalations()
        assert await differences(gateway.ledger) == []

    assert (answer.source, answer.escalation_id) == ("model", None)
    assert answer.fallback_reason.startswith("draft: ")
    assert escalation.interaction_id == answer.interaction_id


# ---- Spending that goes on without the ledger ----


async def test_a_ledger_that_stalls_stops_no_spending_if_so_configured(
    opened: Open, stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ledger_patience", lambda *_: 0.1)
    monkeypatch.setattr("ai_base.llm.gateway.stored_answers.ledger_patience", lambda *_: 0.1)

    def answer(_: object) -> str:
        stall.end()
        return "x"

    budgets = {"when_ledger_fails": "spend"}
    async with opened(main=ScriptedModel(answer), budgets=budgets) as gateway:
        stall.begin()

        assert (await gateway.ask(*ASK)).output == "x"


async def test_a_call_that_can_go_on_without_the_ledger_waits_half_of_its_time_for_it(
    open_gateway: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    async with open_gateway(main=ScriptedModel()) as gateway, gateway.interaction("x", deadline=8) as call:
        refuse, spend = Budgets(unlimited=True), Budgets(unlimited=True, when_ledger_fails="spend")
        assert (ledger_patience(call, refuse), ledger_patience(call, spend)) == (8, 4)
        call.ends = 999.0
        assert ledger_patience(call, refuse) == GRACE


# ---- Cancelled callers ----


@pytest.mark.parametrize("moment", ["reservation", "settlement", "record"])
async def test_a_caller_with_less_patience_than_the_deadline_is_not_held(
    opened: Open, stall: Stall, moment: str
) -> None:
    stalled = asyncio.Event()

    def begin(*_: object) -> str:
        stall.begin()
        stalled.set()
        return "x"

    refusing = {"overall": {"day": "0"}} if moment == "record" else {}
    model = ScriptedModel() if moment == "reservation" else ScriptedModel(begin)
    async with opened(main=model, budgets=refusing) as gateway:
        if moment == "reservation":
            begin()
        task = asyncio.create_task(gateway.ask(*ASK, fallback=begin))
        await stalled.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task, 0.5)
        assert stall.is_on
        stall.end()
        await finish_background_work(FOREVER)
        [row] = await gateway.ledger.interactions(10)
        _, found = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert [attempt.status for attempt in found] == (["ok"] if moment == "settlement" else [])
    assert row.status == ("ok" if moment == "record" else "failed")
