"""There is always an answer or a clear error, within the deadline."""

import asyncio
import sqlite3
from typing import Any

import pytest
from gateway_cases import ASK, answered

from ai_base.llm.cancellation import finish_background_work
from ai_base.llm.errors import (
    AllCandidatesFailedError,
    AwaitingHumanError,
    DeadlineExceededError,
)
from ai_base.llm.ledger.audit import differences
from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel
from ai_base.testing.faults import (
    FaultyModel,
    server_error,
)


async def test_when_all_candidates_are_down_a_stale_answer_serves(open_gateway: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("Because.")), None, *[server_error()] * 9)
    async with open_gateway(main=model, backup=FaultyModel(EchoModel(), server_error(), forever=True)) as gateway:
        await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK, fallback=lambda: "never")
        row, _ = await gateway.ledger.interaction(answer.interaction_id)

    assert (answer.output, answer.source, row.source) == ("Because.", "cache", "cache")
    assert answer.fallback_reason.startswith("AllCandidatesFailedError")


async def test_without_a_stale_answer_the_callers_simple_answer_serves(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=down) as gateway:
        answer = await gateway.ask(*ASK, fallback=lambda: "We will call you back.")

    assert (answer.output, answer.source) == ("We will call you back.", "fallback")


async def test_a_question_can_wait_for_a_person(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=down) as gateway:
        with pytest.raises(AwaitingHumanError) as waiting:
            await gateway.ask(*ASK, human=True)
        with pytest.raises(AwaitingHumanError) as again:
            await gateway.ask(*ASK, human=True)
        assert again.value.escalation_id == waiting.value.escalation_id

        await gateway.ledger.answer(waiting.value.escalation_id, "Ask again tomorrow.", "ada")
        answer = await gateway.ask(*ASK, human=True)

    assert (answer.output, answer.source) == ("Ask again tomorrow.", "human")


async def test_without_a_fallback_the_error_names_every_candidate(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=down) as gateway:
        with pytest.raises(AllCandidatesFailedError, match=r"(?s)main: .*backup: "):
            await gateway.ask(*ASK)


async def test_a_refused_budget_falls_back_to_the_callers_simple_answer(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(), budgets={"overall": {"day": "0"}}) as gateway:
        answer = await gateway.ask(*ASK, fallback=lambda: "simple")

    assert (answer.output, answer.source) == ("simple", "fallback")
    assert answer.fallback_reason.startswith("BudgetExceededError")


async def never(_: object) -> str:
    await asyncio.Event().wait()
    return "never"


async def test_no_interaction_outlives_its_deadline(open_gateway: Any) -> None:
    stuck = RuleModel({".*": never})
    async with open_gateway(main=stuck, backup=stuck, retry={"deadline": 0.3}) as gateway, asyncio.timeout(60):
        with pytest.raises(DeadlineExceededError, match=r"no answer within 0\.3 s"):
            await gateway.ask(*ASK)


async def test_a_ledger_that_is_locked_does_not_outlast_the_deadline(open_gateway: Any, database: str) -> None:
    """The lock is held until the caller has its error; the interaction is recorded afterwards."""
    model = ScriptedModel("never sent")
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    async with open_gateway(main=model, retry={"deadline": 0.3}) as gateway, asyncio.timeout(60):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DeadlineExceededError):
            await gateway.ask(*ASK)
        assert other.in_transaction
        other.execute("COMMIT")
        other.close()
        await finish_background_work(60)
        [row] = await gateway.ledger.interactions(10)
        assert await differences(gateway.ledger) == []

    assert model.prompts == []
    assert (row.status, row.calls, row.cost) == ("failed", 0, 0)


async def test_a_stale_answer_serves_when_the_call_limit_is_reached_first(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    main = FaultyModel(ScriptedModel(answered("Because.")), None, server_error(), forever=True)
    async with open_gateway(main=main, backup=down, budgets={"interaction": {"calls": 3}}) as gateway:
        await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.source, answer.calls) == ("Because.", "cache", 3)
    assert answer.fallback_reason.startswith("CallLimitError")


@pytest.mark.parametrize(("stale", "served"), [(3600, True), (1e-6, False)])
async def test_an_answer_serves_no_longer_than_configured(open_gateway: Any, stale: float, *, served: bool) -> None:
    main = FaultyModel(ScriptedModel(answered("Because.")), None, server_error(), forever=True)
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=main, backup=down, cache={"stale": stale}) as gateway:
        await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK, fallback=lambda: "simple")

    assert (answer.source == "cache") == served
