"""Every interaction and every attempt is a row of the ledger and a line of the log."""

import asyncio
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gateway_cases import ASK, SURE, Verdict, answered, usage
from pydantic_ai.messages import ModelResponse, TextPart
from structlog.testing import capture_logs

from ai_base.llm.cancellation import finish_background_work
from ai_base.llm.errors import (
    RejectedRequestError,
)
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.interaction import attributed_to
from ai_base.llm.ledger.audit import differences
from ai_base.logging import correlation
from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel
from ai_base.testing.faults import (
    FaultyModel,
    bad_request,
    rate_limited,
)


async def test_an_answer_has_its_source_model_cost_and_calls(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("Because."))) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.source, answer.calls) == ("Because.", "model", 1)
    assert answer.cost == Decimal("0.0003")  # 100 tokens at $1 and 100 at $2 per million


async def test_every_interaction_and_attempt_is_a_row(open_gateway: Any) -> None:
    reply = ModelResponse([TextPart("Because.")], usage=usage(100), model_name="scripted-2026-11", finish_reason="stop")
    model = FaultyModel(ScriptedModel(reply), rate_limited(0))
    async with open_gateway(main=model) as gateway:
        with attributed_to(cost_center="support", user="ada"), correlation("request-1"):
            answer = await gateway.ask(*ASK)
        row, attempts = await gateway.ledger.interaction(answer.interaction_id)

    recorded = (
        row.prompt,
        row.request,
        row.response,
        row.source,
        row.status,
        row.cost_center,
        row.user,
        row.correlation_id,
        row.model,
    )
    assert recorded == ("plain", "Why?", "Because.", "model", "ok", "support", "ada", "request-1", "scripted-2026-11")
    assert (row.calls, row.cost, len(row.prompt_version)) == (2, 300_000, 12)
    assert [(a.number, a.status, a.cost, a.cost_basis) for a in attempts] == [
        (1, "failed", 0, "none"),
        (2, "ok", 300_000, "reported"),
    ]
    assert "ModelRateLimitError" in attempts[0].error
    assert (attempts[1].input_tokens, attempts[1].output_tokens, attempts[1].candidate) == (100, 100, "main")
    assert [(a.model, a.prompt, a.cost_center, a.user) for a in attempts] == [
        ("scripted", "plain", "support", "ada"),  # as configured, where the provider reports nothing
        ("scripted-2026-11", "plain", "support", "ada"),
    ]
    assert min(row.latency_ms, attempts[1].latency_ms) > 0


async def test_a_failed_interaction_is_a_row_too(open_gateway: Any) -> None:
    async with open_gateway(main=FaultyModel(EchoModel(), bad_request())) as gateway:
        with pytest.raises(RejectedRequestError):
            await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(10)

    assert (row.status, row.calls, row.source) == ("failed", 1, "")
    assert "RejectedRequestError" in row.error


async def test_one_line_is_logged_for_each(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("Because."))) as gateway:
        with capture_logs() as logs:
            await gateway.ask(*ASK)

    assert [line["event"] for line in logs] == ["llm attempt", "llm interaction"]
    assert {"queue_ms", "breaker", "latency_ms", "cost", "number"} <= set(logs[0])


def test_code_that_does_not_await_can_ask(prompts: Path, database: str, look: Any) -> None:
    candidate = {"model": "openai-chat:x", "price": {"input": "1", "output": "2"}}
    config = {"candidates": {"main": candidate}, "chains": {"default": ["main"]}, "budgets": {"unlimited": True}}
    model = ScriptedModel(answered("x"))

    async def inside_a_running_loop() -> str:
        options = {"config": config, "prompts": prompts, "database_url": database, "models": {"main": model}}
        with Gateway.open_blocking(**options) as ask, attributed_to(cost_center="research"):
            return str(ask("plain", {"question": "?"}).output)

    assert asyncio.run(inside_a_running_loop()) == "x"
    assert [row.cost_center for row in look(database, lambda ledger: ledger.interactions(10))] == ["research"]


async def test_replay_asks_again(open_gateway: Any) -> None:
    models = {"main": ScriptedModel(SURE, {"category": "billing", "confidence": 1})}
    async with open_gateway(**models) as gateway:
        first = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
        recorded, again = await gateway.replay(first.interaction_id)

    assert json.loads(recorded.response)["category"] == "bug"
    assert again.output == Verdict(category="billing", confidence=1)
    assert models["main"].prompts == ["Triage: ?", "Triage: ?"]


async def test_a_call_takes_fifteen_statements(open_gateway: Any) -> None:
    """Reserve 4, settle 6, record 4, and one that looks for a person's answer. A cap takes no further one."""
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, budgets={"overall": {"day": "1", "hour": "1"}}) as gateway:
        await gateway.ask(*ASK)
        statements: list[str] = []
        gateway.ledger.database._connection.set_trace_callback(statements.append)  # noqa: SLF001
        await gateway.ask(*ASK)

    assert len(statements) == 15, statements


async def turns(count: int) -> None:
    """Let every other task run as far as it gets."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_cancelled_call_leaves_its_row_whatever_it_waits_for(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=RuleModel({".*": answered("x")})) as gateway:
        await gateway.ask(*ASK)
        other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(gateway.ask(*ASK))
        await turns(100)  # it waits for the lock
        task.cancel()
        other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await task
        other.close()
        await finish_background_work(60)
        rows = await gateway.ledger.interactions(10)
        assert await differences(gateway.ledger) == []

    assert [row.status for row in rows] == ["failed", "ok"]


@pytest.mark.parametrize("moment", ["settlement", "record"])
async def test_cost_and_answer_are_recorded_although_the_caller_is_cancelled(
    open_gateway: Any, database: str, moment: str
) -> None:
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    locked = asyncio.Event()

    def lock(*_: object) -> str:
        other.execute("BEGIN IMMEDIATE")
        locked.set()
        return "x"

    refusing = {"overall": {"day": "0"}} if moment == "record" else {}
    async with open_gateway(main=ScriptedModel(lock), budgets=refusing) as gateway:
        task = asyncio.create_task(gateway.ask(*ASK, fallback=lock))
        await locked.wait()
        for _ in range(3):
            await turns(100)  # it waits for the lock
            task.cancel()
        other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await task
        other.close()
        await finish_background_work(60)
        [row] = await gateway.ledger.interactions(10)
        _, attempts = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert [attempt.status for attempt in attempts] == ([] if moment == "record" else ["ok"])
    assert row.status == ("ok" if moment == "record" else "failed")
