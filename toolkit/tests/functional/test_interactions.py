"""Interactions, nested ones and the runs of agents share caps, deadline and attribution."""

import asyncio
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.test import TestModel

from ai_base.llm.errors import BudgetExceededError, CallLimitError, DeadlineExceededError, LLMError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.interaction import attributed_to, find_interaction
from ai_base.testing.doubles import RuleModel, ScriptedModel, Step


async def test_an_agents_calls_are_one_interaction(open_gateway: Any) -> None:
    agent_calls = TestModel(custom_output_text="done")
    async with open_gateway(main=agent_calls) as gateway:
        agent = Agent(gateway.model())

        @agent.tool_plain
        def look_up(word: str) -> str:
            return word

        async with gateway.interaction("agent", cost_center="research") as call:
            result = await agent.run("hello")
        row, attempts = await gateway.ledger.interaction(call.row.id)

    assert result.output == "done"
    assert (row.prompt, row.cost_center, row.calls, len(attempts)) == ("agent", "research", 2, 2)
    assert (row.request, row.response, row.model, row.source) == ("hello", "done", "test", "model")


async def test_questions_inside_an_interaction_are_held_to_its_caps_too(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, budgets={"interaction": {"calls": 3}}) as gateway:
        async with gateway.interaction("outer") as call:
            for number in range(3):
                await gateway.ask("plain", {"question": str(number)})
            with pytest.raises(CallLimitError, match="3 calls of 3"):
                await gateway.ask(*ASK)
        outer, _ = await gateway.ledger.interaction(call.row.id)
        rows = await gateway.ledger.interactions(10)

    assert (outer.calls, outer.cost) == (0, 0)  # nothing is counted twice
    assert sum(row.cost for row in rows) == 3 * 300_000


async def test_an_interaction_inside_another_ends_with_it(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": Step("x", delay=5)})) as gateway:
        with pytest.raises(DeadlineExceededError):
            async with gateway.interaction("outer", deadline=0.1):
                await gateway.ask(*ASK)


async def test_a_request_outside_of_any_interaction_is_one(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        await gateway.model().request([ModelRequest.user_text_prompt("hi")], None, ModelRequestParameters())
        [row] = await gateway.ledger.interactions(10)

    assert (row.status, row.calls, row.cost) == ("ok", 1, 300_000)


async def test_an_agents_stream_outside_of_an_interaction_leaves_nothing_behind(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": answered("one two")})) as gateway:
        async with Agent(gateway.model()).run_stream("hi") as run:
            text = [chunk async for chunk in run.stream_text()][-1]
        assert find_interaction() is None
        await gateway.ask(*ASK)
        rows = await gateway.ledger.interactions(10)

    assert text == "one two"
    assert [(row.status, row.calls, row.cost) for row in rows] == [("ok", 1, 300_000)] * 2


async def test_a_task_that_outlives_its_interaction_is_one_of_its_own(open_gateway: Any) -> None:
    over = asyncio.Event()

    async def later(gateway: Gateway) -> None:
        await over.wait()
        await Agent(gateway.model()).run("hi")

    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        async with gateway.interaction("first"):
            task = asyncio.create_task(later(gateway))
            await asyncio.sleep(0)
        over.set()
        await task
        rows = await gateway.ledger.interactions(10)

    assert sorted(row.calls for row in rows) == [0, 1]


# ---- Attribution ----


@pytest.mark.parametrize("way", ["ask", "stream"])
async def test_what_is_asked_inside_an_interaction_is_charged_to_its_cost_centre(open_gateway: Any, way: str) -> None:
    budgets = {"cost_centers": {"support": {"day": "0"}}}
    async with open_gateway(main=ScriptedModel(), budgets=budgets) as gateway:
        with pytest.raises(BudgetExceededError, match="cost center support, day"):  # noqa: PT012 - raised inside
            async with gateway.interaction("report", cost_center="support", user="ada"):
                if way == "ask":
                    await gateway.ask(*ASK)
                else:
                    async with gateway.stream(*ASK) as chunks:
                        await anext(aiter(chunks))
        rows = await gateway.ledger.interactions(10)

    assert [(row.cost_center, row.user) for row in rows] == [("support", "ada")] * 2


async def test_the_innermost_attribution_counts(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": answered("x")})) as gateway:
        with attributed_to(cost_center="outer", user="ada"):
            async with gateway.interaction("report", cost_center="report"):
                with attributed_to(cost_center="inner"):
                    await gateway.ask(*ASK)
                await gateway.ask(*ASK, cost_center="given")
                await gateway.ask(*ASK)
            await gateway.ask(*ASK)
        await gateway.ask(*ASK)
        rows = [row for row in await gateway.ledger.interactions(10) if row.prompt == "plain"]

    assert [row.cost_center for row in reversed(rows)] == ["inner", "given", "report", "outer", "default"]
    assert [row.user for row in reversed(rows)] == ["ada"] * 4 + [""]


async def test_a_gateway_is_refused_in_another_threads_loop(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:

        def elsewhere() -> None:
            asyncio.run(gateway.ask(*ASK))

        with pytest.raises(LLMError, match="this gateway belongs to another event loop"):
            await asyncio.to_thread(elsewhere)
