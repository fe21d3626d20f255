"""Each limit means one thing, counted where the requests arrive: at a provider on loopback."""

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from agent_cases import add, call, calls, http_calls, search
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import ModelRequestParameters

from ai_base.agent import Limits, Run, SimpleReActAgent
from ai_base.testing.doubles import ScriptedModel
from ai_base.testing.loopback import LoopbackProvider, Reply


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackProvider]:
    """A provider that calls a tool for ever, each time with another argument."""
    monkeypatch.setenv("PROVIDER_KEY", "none")
    numbers = count()
    with LoopbackProvider(lambda _: http_calls(("search", {"query": str(next(numbers))}))) as server:
        yield server


@pytest.fixture
def config(provider: LoopbackProvider) -> dict[str, Any]:
    there = {"base_url": provider.url, "api_key_env": "PROVIDER_KEY"}
    candidates = {"main": there, "backup": there, "strong": there}
    return {"candidates": candidates, "budgets": {"interaction": {"calls": 100}}}


async def run_of(open_gateway: Any, config: Any, *tools: Callable[..., Any], **limits: Any) -> Run:
    async with open_gateway(**config) as gateway:
        return await SimpleReActAgent(gateway, tools or [search], limits=Limits(**limits)).run("?")


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_max_steps_is_the_number_of_requests_at_the_provider(
    open_gateway: Any, config: Any, provider: LoopbackProvider, most: int
) -> None:
    run = await run_of(open_gateway, config, max_steps=most)

    assert (run.ended, provider.count, run.requests, run.tool_calls) == ("max_steps", most, most, most)


async def test_retries_and_fallbacks_count_as_steps(open_gateway: Any, config: Any, provider: LoopbackProvider) -> None:
    replies = iter([http_calls(("search", {"query": "x"})), *[Reply(status=500)] * 100])
    provider.behaviour = lambda _: next(replies)
    run = await run_of(open_gateway, config, max_steps=4)

    assert (run.ended, provider.count, run.requests, run.tool_calls) == ("max_steps", 4, 4, 1)


@pytest.mark.parametrize("way", ["request", "ask"])
async def test_what_a_tool_asks_counts_as_a_step(
    open_gateway: Any, config: Any, provider: LoopbackProvider, way: str
) -> None:
    nothing_more = ModelRequestParameters()
    async with open_gateway(**config) as gateway:

        async def search(query: str) -> str:
            """Ask the model itself."""
            if way == "ask":
                return str(await gateway.ask("plain", {"question": query}))
            return str(await gateway.model().request([ModelRequest.user_text_prompt(query)], None, nothing_more))

        run = await SimpleReActAgent(gateway, [search], limits=Limits(max_steps=5)).run("?")

    assert (run.ended, provider.count, run.requests) == ("max_steps", 5, 5)


async def test_max_tool_calls_counts_each_parallel_execution(
    open_gateway: Any, config: Any, provider: LoopbackProvider
) -> None:
    executed: list[str] = []

    def search(query: str) -> str:
        """Search."""
        executed.append(query)
        return query

    numbers = count()
    provider.behaviour = lambda _: http_calls(*(("search", {"query": str(next(numbers))}) for _ in range(3)))
    run = await run_of(open_gateway, config, search, max_tool_calls=4)

    assert (run.ended, len(executed), run.tool_calls, provider.count) == ("max_tool_calls", 4, 4, 2)
    assert [step.outcome for step in run.steps if step.request == 2] == ["skipped", "skipped", "ok"]


async def test_a_call_that_executes_nothing_does_not_count(open_gateway: Any) -> None:
    script = ScriptedModel(call("nothing"), call("add", a="x", b=1), call("add", a=1, b=1), call("nothing"), "done")
    async with open_gateway(main=script) as gateway:
        run = await SimpleReActAgent(gateway, [add], limits=Limits(max_tool_calls=1)).run("?")

    assert (run.ended, run.tool_calls) == ("answer", 1)


async def test_a_run_that_could_cost_more_sends_nothing_more(
    open_gateway: Any, config: Any, provider: LoopbackProvider
) -> None:
    """A response costs 0.0003 dollars; a request could cost 0.002 for its output alone."""
    run = await run_of(open_gateway, config, dollars=Decimal("0.005"), max_steps=100)

    assert run.ended == "dollars"
    assert run.dollars == Decimal("0.0003") * provider.count
    assert 0 < provider.count < 10
    assert run.dollars <= Decimal("0.005")


async def test_the_time_of_a_run_is_over(open_gateway: Any, config: Any, provider: LoopbackProvider) -> None:
    provider.behaviour = Reply(hang=True)
    async with asyncio.timeout(60):
        run = await run_of(open_gateway, config, seconds=0.2)

    assert run.ended == "seconds"
    assert provider.count <= 1  # none, where the machine is slow


async def test_a_tool_that_uses_up_the_time_ends_the_run_and_keeps_it(open_gateway: Any) -> None:
    async def search(query: str) -> str:
        """Take a day."""
        clock[0] += 86_400
        return query

    clock = [0.0]
    async with open_gateway(main=ScriptedModel(call("search", query="x"))) as gateway:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ai_base.llm.interaction.time.monotonic", lambda: clock[0])
            run = await SimpleReActAgent(gateway, [search], limits=Limits(seconds=3600)).run("?")
            left = await SimpleReActAgent(gateway, [search], limits=Limits(seconds=3600)).run(run)

    assert (run.ended, run.tool_calls, left.ended, left.requests) == ("seconds", 1, "seconds", 1)


async def test_a_limit_holds_over_all_resumptions_and_a_higher_one_lets_the_run_go_on(
    open_gateway: Any, config: Any, provider: LoopbackProvider
) -> None:
    async with open_gateway(**config) as gateway:
        run = await SimpleReActAgent(gateway, [search], limits=Limits(max_steps=2)).run("?")
        run = await SimpleReActAgent(gateway, [search], limits=Limits(max_steps=2)).run(run)
        assert (run.ended, provider.count) == ("max_steps", 2)
        run = await SimpleReActAgent(gateway, [search], limits=Limits(max_steps=5)).run(run)

    assert (run.ended, provider.count, run.requests, run.tool_calls) == ("max_steps", 5, 5, 5)


async def test_a_cap_of_the_configuration_ends_a_run_as_a_value(open_gateway: Any, config: Any) -> None:
    config["budgets"]["interaction"]["calls"] = 2
    run = await run_of(open_gateway, config)

    assert (run.ended, run.requests, run.tool_calls) == ("refused", 2, 2)
    assert "2 calls of 2" in run.error


async def test_limits_hold_where_the_configured_caps_only_watch(open_gateway: Any, config: Any) -> None:
    config["budgets"] |= {"enforce": False, "interaction": {"calls": 1}}
    run = await run_of(open_gateway, config, max_steps=3)

    assert (run.ended, run.requests) == ("max_steps", 3)


async def test_agents_inside_an_interaction_have_limits_of_their_own_and_share_its_caps(
    open_gateway: Any, config: Any, provider: LoopbackProvider
) -> None:
    config["budgets"]["interaction"]["calls"] = 5
    async with open_gateway(**config) as gateway, gateway.interaction("outer") as outer:
        agent = SimpleReActAgent(gateway, [search], limits=Limits(max_steps=3))
        runs = [await agent.run("?"), await agent.run("?")]

    assert [(run.ended, run.requests) for run in runs] == [("max_steps", 3), ("refused", 2)]
    assert (provider.count, outer.budget.calls, outer.budget.held) == (5, 5, 0)
    assert outer.budget.spent == sum(run.cost for run in runs) > 0


@pytest.mark.parametrize("parallel", [False, True])
async def test_the_same_call_three_times_in_a_row_ends_the_run(open_gateway: Any, *, parallel: bool) -> None:
    same: list[tuple[str, Any]] = [("add", {"a": 1, "b": 2}), ("add", '{"b": 2, "a": 1}'), ("add", {"a": 1, "b": 2})]
    script = ScriptedModel(calls(*same)) if parallel else ScriptedModel(*(calls(each) for each in same))
    async with open_gateway(main=script) as gateway:
        run = await SimpleReActAgent(gateway, [add]).run("?")

    assert (run.ended, run.tool_calls) == ("repeated", 2)


async def test_a_call_in_between_makes_it_no_repetition(open_gateway: Any) -> None:
    one, other = call("add", a=1, b=2), call("add", a=2, b=2)
    async with open_gateway(main=ScriptedModel(one, one, other, one, one, "done")) as gateway:
        run = await SimpleReActAgent(gateway, [add]).run("?")

    assert (run.ended, run.tool_calls) == ("answer", 5)


@pytest.mark.parametrize(
    "limit",
    [
        {"max_steps": -1},
        {"max_tool_calls": 1.5},
        {"max_steps": math.inf},
        {"seconds": math.nan},
        {"tool_seconds": -1},
        {"dollars": Decimal("NaN")},
        {"observation_characters": 5},
        {"max_step": 1},
    ],
    ids=str,
)
def test_a_limit_that_limits_nothing_is_refused(limit: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^1 validation error for Limits\n{next(iter(limit))}\n"):
        Limits(**limit)


@pytest.mark.parametrize("used", [{"requests": -1}, {"tool_calls": -1}, {"cost": -1}, {"seconds": math.nan}], ids=str)
def test_a_saved_run_cannot_have_used_less_than_nothing(used: dict[str, Any]) -> None:
    saved = json.dumps({"question": "?", **used})
    with pytest.raises(ValueError, match=f"^1 validation error for Run\n{next(iter(used))}\n"):
        Run.model_validate_json(saved)
