"""A call has an upper bound before it is made, and is charged for what the provider may have charged."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest
from gateway_cases import ASK, ChangedModel, answered, usage
from pydantic_ai import Agent
from pydantic_ai.messages import BinaryContent, InstructionPart, ModelRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from ai_base.llm.cancellation import finish_background_work
from ai_base.llm.errors import (
    UnpricedModelError,
)
from ai_base.llm.ledger.audit import differences
from ai_base.testing.doubles import RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    rate_limited,
    refused,
    reset,
    server_error,
    timed_out,
)


@pytest.mark.parametrize("fault", [timed_out(), reset()])
async def test_a_failure_that_the_provider_may_have_charged_costs_its_bound(open_gateway: Any, fault: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("x")), fault)
    async with open_gateway(main=model) as gateway:
        answer = await gateway.ask(*ASK)
        _, [first, second] = await gateway.ledger.interaction(answer.interaction_id)

    assert (first.cost, first.cost_basis) == (first.reserved, "assumed")
    assert (second.cost, second.cost_basis) == (300_000, "reported")


async def test_a_server_error_costs_its_bound_unless_configured_otherwise(open_gateway: Any) -> None:
    free = {"main": {"charge_server_errors": False}}
    costs = []
    for candidates in ({}, free):
        model = FaultyModel(ScriptedModel(answered("x")), server_error())
        async with open_gateway(main=model, candidates=candidates) as gateway:
            answer = await gateway.ask(*ASK)
            _, [first, _] = await gateway.ledger.interaction(answer.interaction_id)
            costs.append((first.cost, first.cost_basis, first.reserved))

    assert costs[0] == (costs[0][2], "assumed", costs[0][2])
    assert costs[1][:2] == (0, "none")


@pytest.mark.parametrize("fault", [refused(), rate_limited(0)])
async def test_a_failure_that_the_provider_cannot_have_charged_is_free(open_gateway: Any, fault: Any) -> None:
    async with open_gateway(main=FaultyModel(ScriptedModel(answered("x")), fault)) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.calls, answer.cost) == (2, Decimal("0.0003"))


async def test_a_call_that_is_cancelled_costs_its_bound(open_gateway: Any) -> None:
    sent = asyncio.Event()

    async def never(_: object) -> str:
        sent.set()
        await asyncio.Event().wait()
        return "never"

    async with open_gateway(main=ScriptedModel(never)) as gateway:
        task = asyncio.create_task(gateway.ask(*ASK))
        await sent.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await finish_background_work(60)
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert (attempt.status, attempt.cost_basis, attempt.cost) == ("abandoned", "assumed", attempt.reserved)
    assert row.cost == attempt.cost > 0


@pytest.mark.parametrize("tokens", [0, -1_000_000])
async def test_an_answer_without_a_credible_token_count_costs_its_bound(open_gateway: Any, tokens: int) -> None:
    async with open_gateway(main=ChangedModel(lambda response: replace(response, usage=usage(tokens)))) as gateway:
        answer = await gateway.ask(*ASK)
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)
        assert await differences(gateway.ledger) == []

    assert (attempt.cost_basis, attempt.cost) == ("assumed", attempt.reserved)


@pytest.mark.parametrize("asked", [-5, 0, 10**12])
async def test_a_strange_output_limit_lowers_no_bound(open_gateway: Any, asked: int) -> None:
    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        await Agent(gateway.model()).run("hello", model_settings={"max_tokens": asked})
        [row] = await gateway.ledger.interactions(1)
        [attempt] = (await gateway.ledger.interaction(row.id))[1]

    assert 0 < attempt.cost <= attempt.reserved <= 2_500_000


async def test_the_bound_covers_instructions_tools_and_history(open_gateway: Any) -> None:
    def shout(text: str) -> str:
        """Say it loudly."""
        return text.upper()

    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model) as gateway:
        small, large = Agent(gateway.model()), Agent(gateway.model(), tools=[shout], instructions="i" * 5000)
        first = await small.run("question")
        await large.run("question", message_history=first.all_messages())
        rows = await gateway.ledger.interactions(2)
        bounds = [(await gateway.ledger.interaction(row.id))[1][0].reserved for row in rows]

    assert bounds[0] - bounds[1] > 5_000 * 1_000  # nanodollars: a token costs at least 1000


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_body": {"n": 5}},
        {"openai_service_tier": "priority"},
        {"openai_prediction": {"type": "content", "content": "predicted tokens that are not used are billed"}},
        {"openai_native_tools": [{"type": "web_search"}]},
        {"anthropic_speed": "fast"},
        {"google_cached_content": "stored by the hour"},
        {"a_setting_of_next_year": True},
    ],
)
async def test_settings_that_make_a_call_dearer_are_refused(open_gateway: Any, settings: dict[str, Any]) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(UnpricedModelError, match="its cost has no upper bound"):
            await Agent(gateway.model()).run("hello", model_settings=cast("ModelSettings", settings))


async def test_a_picture_is_refused_unless_the_context_window_bounds_it(open_gateway: Any) -> None:
    picture: list[str | BinaryContent] = ["What is this?", BinaryContent(b"tiny", media_type="image/png")]
    async with open_gateway(main=ScriptedModel(answered("a cat"))) as gateway:
        with pytest.raises(UnpricedModelError, match="context_window"):
            await Agent(gateway.model()).run(picture)
    bounded = {"main": {"context_window": 128_000}}
    async with open_gateway(main=ScriptedModel(answered("a cat")), candidates=bounded) as gateway:
        await Agent(gateway.model()).run(picture)
        [row] = await gateway.ledger.interactions(1)

        assert (await gateway.ledger.interaction(row.id))[1][0].reserved == 128_000_000 + 2_000_000


@pytest.mark.parametrize("way", ["compact_messages", "batch_create"])
async def test_ways_around_the_budget_are_closed(open_gateway: Any, way: str) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        guard = gateway.model().models[0]
        with pytest.raises(UnpricedModelError, match="would bypass the budget"):
            await getattr(guard, way)([])


@pytest.mark.parametrize(
    "report",
    [
        {"usage": RequestUsage(input_tokens=10**20, output_tokens=1)},
        {"usage": RequestUsage(input_tokens=1, cache_read_tokens=50, output_tokens=1)},
        {"model_name": "half of a pair \ud800, nul \0"},
    ],
)
async def test_an_inconsistent_usage_report_is_settled(
    open_gateway: Any, database_url: str, report: dict[str, Any]
) -> None:
    known = {"main": {"model": "openai-chat:gpt-4o-mini", "price": None}}
    changed = ChangedModel(lambda response: replace(response, **report))
    async with open_gateway(main=changed, candidates=known, database_url=database_url) as gateway:
        answer = await gateway.ask(*ASK)
        assert await differences(gateway.ledger) == []
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.output == "x"
    assert 0 < attempt.cost <= attempt.reserved


async def test_instructions_that_come_with_the_parameters_count(open_gateway: Any) -> None:
    instructions = [InstructionPart(content="i" * 5000)]
    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        params = ModelRequestParameters(instruction_parts=instructions)
        await gateway.model().request([ModelRequest.user_text_prompt("hi")], None, params)
        [row] = await gateway.ledger.interactions(1)
        [attempt] = (await gateway.ledger.interaction(row.id))[1]

    assert attempt.reserved > 5_000 * 1_000


async def test_settings_that_add_no_cost_reach_the_model(open_gateway: Any) -> None:
    given = {"top_p": 0.5, "seed": 7, "thinking": "low", "openai_reasoning_effort": "low", "openai_user": "ada"}
    model = ScriptedModel(answered("x"))
    async with open_gateway(main=model) as gateway:
        await Agent(gateway.model()).run("hello", model_settings=cast("ModelSettings", given))

    sent = model.requests[0].settings or {}
    assert {name: sent.get(name) for name in ("top_p", "seed", "openai_user")} == {
        "top_p": 0.5,
        "seed": 7,
        "openai_user": "ada",
    }


async def test_cached_and_reasoning_tokens_have_rates_and_columns(open_gateway: Any) -> None:
    rates = {"input": "1", "cached_input": "0.1", "output": "2", "reasoning": "3"}
    used = RequestUsage(input_tokens=100, cache_read_tokens=40, output_tokens=10, output_reasoning_tokens=4)
    async with open_gateway(
        main=ScriptedModel(Step("x", usage=used)), candidates={"main": {"price": rates}}
    ) as gateway:
        answer = await gateway.ask(*ASK)
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    assert attempt.cost == 60 * 1_000 + 40 * 100 + 6 * 2_000 + 4 * 3_000
    assert (attempt.cached_input_tokens, attempt.reasoning_tokens) == (40, 4)
