"""Streams are guarded, cleaned and recorded."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic import BaseModel
from pydantic_ai.messages import ModelResponseStreamEvent

from ai_base.llm.errors import (
    BudgetExceededError,
    ConfigError,
    DeadlineExceededError,
    InvalidOutputError,
    TruncatedOutputError,
)
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.ledger.audit import differences
from ai_base.testing.doubles import Call, EchoModel, Playback, RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    server_error,
    slow,
    truncated,
)
from ai_base.testing.loopback import LoopbackProvider, Reply
from ai_base.text.clean import clean


async def drain(gateway: Gateway) -> list[str]:
    async with gateway.stream(*ASK, cost_center="support") as chunks:
        return [chunk async for chunk in chunks]


async def test_a_stream_is_guarded_cleaned_and_recorded(open_gateway: Any) -> None:
    text = "Look: ![x](https://evil.example/?q=1) and <script>alert(1)</script>."
    async with open_gateway(main=ScriptedModel(answered(text))) as gateway:
        received = await drain(gateway)
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)

    whole = "".join(received)
    assert len(received) > 1
    assert "![" not in whole
    assert "<script" not in whole
    assert (row.response, row.status, row.source, row.cost_center, row.cost) == (
        whole,
        "ok",
        "model",
        "support",
        300_000,
    )
    assert (attempt.status, attempt.cost_basis) == ("ok", "reported")


async def test_a_stream_falls_back_before_its_first_text(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=ScriptedModel(answered("here"))) as gateway:
        assert await drain(gateway) == ["here"]
        [row] = await gateway.ledger.interactions(1)

    assert row.calls == 3


async def test_a_stream_is_held_to_the_budget(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(), budgets={"overall": {"day": "0.001"}}) as gateway:
        with pytest.raises(BudgetExceededError):
            await drain(gateway)


async def test_an_abandoned_stream_costs_its_bound(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("word " * 100))) as gateway:
        async with gateway.stream(*ASK) as chunks:
            async for _ in chunks:
                break
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert (attempt.cost, attempt.cost_basis) == (attempt.reserved, "assumed")


async def test_a_stream_that_drips_ends_at_the_deadline(open_gateway: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("word " * 100)), slow(600))
    async with open_gateway(main=model, backup=model, retry={"deadline": 0.3}) as gateway, asyncio.timeout(60):
        with pytest.raises(DeadlineExceededError):
            await drain(gateway)


class Stalled(Playback):
    """Its first word comes, and then nothing."""

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        yield await anext(super()._get_event_iterator())
        await asyncio.Event().wait()


class Stalling(RuleModel):
    @asynccontextmanager
    async def request_stream(self, *request: Any) -> AsyncGenerator[Playback]:
        yield Stalled(await self.request(*request[:3]), Call(*request[:3]))


async def test_a_stream_that_stalls_ends_at_the_deadline(open_gateway: Any) -> None:
    model = Stalling({".*": "one two"})
    async with open_gateway(main=model, retry={"deadline": 0.3}) as gateway, asyncio.timeout(60):
        with pytest.raises(DeadlineExceededError):
            await drain(gateway)


async def test_an_error_of_a_streams_reader_is_not_the_candidates_failure(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("one two")})
    async with open_gateway(main=model, breaker={"failures": 1}) as gateway:
        for error in (ConnectionResetError("the browser went away"), ConfigError("typo.md", "no such prompt")):
            with pytest.raises(type(error), match=re.escape(str(error))):  # noqa: PT012 - it is raised inside
                async with gateway.stream(*ASK) as chunks:
                    await anext(aiter(chunks))
                    raise error
            [row] = await gateway.ledger.interactions(1)
            [attempt] = (await gateway.ledger.interaction(row.id))[1]
            assert (attempt.status, attempt.cost) == ("abandoned", attempt.reserved)

        assert (await gateway.ask(*ASK)).output == "one two"


async def test_a_stream_that_does_not_begin_falls_back(open_gateway: Any) -> None:
    models = {"main": RuleModel({".*": Step("late", delay=30)}), "backup": RuleModel({".*": answered("here")})}
    async with open_gateway(**models, candidates={"main": {"timeout": 0.05}}) as gateway:
        assert await drain(gateway) == ["here"]


class Report(BaseModel):
    title: str
    points: list[str]


REPORT: dict[str, Any] = {"title": "<script>Slow</script> pages", "points": ["one two", "three"]}


@pytest.mark.parametrize("output_type", [Report, list[str]])
async def test_an_object_is_streamed_as_far_as_it_has_come_and_validated_at_the_end(
    open_gateway: Any, output_type: Any
) -> None:
    reply = json.dumps(REPORT) if output_type is Report else json.dumps({"response": REPORT["points"]})
    async with open_gateway(main=ScriptedModel(answered(reply))) as gateway:
        async with gateway.stream(*ASK, output_type=output_type) as snapshots:
            received = [snapshot async for snapshot in snapshots]
        [row] = await gateway.ledger.interactions(1)

    whole, title = received[-1], clean(REPORT["title"])
    assert title != REPORT["title"]
    if output_type is Report:
        assert whole == Report(title=title, points=["one two", "three"])
        assert {"title": title, "points": ["one"]} in received
        assert row.response == whole.model_dump_json()
    else:
        assert whole == ["one two", "three"]
        assert ["one"] in received
    assert row.status == "ok"


async def test_a_streamed_object_that_does_not_fit_is_an_error(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered('{"title": "x"}'))) as gateway:
        with pytest.raises(InvalidOutputError, match="points"):  # noqa: PT012 - it is raised inside
            async with gateway.stream(*ASK, output_type=Report) as snapshots:
                async for _ in snapshots:
                    pass
        [row] = await gateway.ledger.interactions(1)

    assert (row.status, row.response) == ("failed", '{"title": "x"}')


@pytest.mark.parametrize("output_type", [str, Report])
async def test_a_stream_that_was_cut_off_ends_in_an_error(open_gateway: Any, output_type: Any) -> None:
    cut = truncated('{"title": "One", "points": []')
    async with open_gateway(main=FaultyModel(ScriptedModel(), cut)) as gateway:
        received = []
        with pytest.raises(TruncatedOutputError, match="cut off at the output limit"):  # noqa: PT012 - as above
            async with gateway.stream(*ASK, output_type=output_type) as chunks:
                async for chunk in chunks:
                    received.append(chunk)  # noqa: PERF401 - what came before the error counts
        [row] = await gateway.ledger.interactions(1)

    assert received
    assert row.status == "failed"


async def test_a_providers_stream_without_a_finish_reason_ends_in_an_error(
    open_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real HTTP: a proxy closes the connection properly, but too early."""
    monkeypatch.setenv("PROVIDER_KEY", "key-for-tests")
    reply = Reply(text="The beginning", finish_reason="")
    with LoopbackProvider(reply) as provider:
        where = {"base_url": provider.url, "api_key_env": "PROVIDER_KEY"}
        async with open_gateway(candidates={"main": where}) as gateway:
            with pytest.raises(TruncatedOutputError, match="without a finish reason"):  # noqa: PT012 - as above
                async with gateway.stream(*ASK) as chunks:
                    async for _ in chunks:
                        pass
            [row] = await gateway.ledger.interactions(1)

    assert (row.status, row.response) == ("failed", "The beginning")
