"""Spend never exceeds a cap."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic_ai import Agent
from pydantic_ai.usage import RequestUsage

from ai_base.llm.errors import (
    BudgetExceededError,
    CallLimitError,
)
from ai_base.llm.ledger.audit import differences
from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    server_error,
)


@pytest.mark.slow
async def test_concurrent_calls_never_pass_a_cap(open_gateway: Any, database_url: str) -> None:
    """A thousand calls at once against a cap of one dollar."""
    cost = 200 * 1_000 + 1000 * 2_000  # nanodollars; nearly all that each may cost
    model = RuleModel({".*": Step("x", usage=RequestUsage(input_tokens=200, output_tokens=1000))})
    settings = {
        "budgets": {"overall": {"day": "1"}},
        "candidates": {"main": {"timeout": 600}},  # long enough for any machine
        "retry": {"deadline": 600},
        "cache": {"stale": 0},
    }
    async with open_gateway(main=model, database_url=database_url, **settings) as gateway:
        outcomes = await asyncio.gather(*(gateway.ask(*ASK) for _ in range(1000)), return_exceptions=True)
        [row] = await gateway.ledger.spend("day")
        assert await differences(gateway.ledger) == []

    answers = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {BudgetExceededError}
    assert row.calls == len(answers)
    assert row.cost == len(answers) * cost == sum(answer.cost for answer in answers) * 10**9
    assert 10**9 - 2 * cost < row.cost <= 10**9


@pytest.mark.parametrize(
    ("budgets", "scope"),
    [
        ({"overall": {"hour": "0.003"}}, "overall, hour"),
        ({"overall": {"day": "0.003"}}, "overall, day"),
        ({"overall": {"month": "0.003"}}, "overall, month"),
        ({"cost_centers": {"support": {"day": "0.003"}}}, "cost center support, day"),
        ({"each_cost_center": {"day": "0.003"}}, "cost center support, day"),
    ],
)
async def test_a_refusal_names_the_cap_what_is_spent_and_what_was_asked(
    open_gateway: Any, budgets: dict[str, Any], scope: str
) -> None:
    model = ScriptedModel(answered("x", 100, 1000))
    async with open_gateway(main=model, budgets=budgets) as gateway:
        await gateway.ask(*ASK, cost_center="support")
        with pytest.raises(BudgetExceededError) as error:
            await gateway.ask(*ASK, cost_center="support")
        refused_row = (await gateway.ledger.interactions(1))[0]

    assert error.value.scope.startswith(scope)
    assert (error.value.cap, error.value.spent) == (Decimal("0.003"), Decimal("0.0021"))
    assert error.value.held == 0
    assert error.value.asked > Decimal("0.002")
    assert (refused_row.status, refused_row.cost, refused_row.calls) == ("refused", 0, 0)


async def test_one_cost_centre_does_not_spend_another_ones_budget(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("x", 100, 1000)})
    async with open_gateway(main=model, budgets={"each_cost_center": {"day": "0.003"}}) as gateway:
        await gateway.ask(*ASK, cost_center="support")
        with pytest.raises(BudgetExceededError):
            await gateway.ask(*ASK, cost_center="support")

        assert (await gateway.ask(*ASK, cost_center="sales")).output == "x"


async def test_a_cap_that_is_set_later_holds_against_what_was_spent_before(open_gateway: Any) -> None:
    model = ScriptedModel(answered("x", 100, 1000))
    async with open_gateway(main=model) as gateway:
        await gateway.ask(*ASK)
    async with open_gateway(main=model, budgets={"overall": {"day": "0.003"}}) as gateway:
        with pytest.raises(BudgetExceededError):
            await gateway.ask(*ASK)


async def test_an_interaction_makes_no_more_calls_than_it_may(open_gateway: Any) -> None:
    """The interaction that made 47 calls."""
    async with open_gateway(
        main=FaultyModel(EchoModel(), server_error(), forever=True),
        retry={"attempts": 47},
        breaker={"failures": 100},
        budgets={"interaction": {"calls": 8}},
    ) as gateway:
        with pytest.raises(CallLimitError, match="8 calls of 8"):
            await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(1)
    assert row.calls == 8


async def test_an_interaction_costs_no_more_than_it_may(open_gateway: Any) -> None:
    model = ScriptedModel(answered("1", 100, 1000), answered("2", 100, 1000))
    async with open_gateway(main=model, budgets={"interaction": {"dollars": "0.006"}}) as gateway:
        async with gateway.interaction("conversation") as call:
            agent = Agent(gateway.model())
            await agent.run("one")
            await agent.run("two")
            with pytest.raises(BudgetExceededError, match="budget interaction"):
                await agent.run("three")
        row, attempts = await gateway.ledger.interaction(call.row.id)

    assert (row.calls, row.cost, len(attempts)) == (2, 4_200_000, 2)


async def test_a_cost_centre_with_a_personal_name_has_its_cap(open_gateway: Any) -> None:
    budgets = {"cost_centers": {"bob@example.com": {"day": "0"}}}
    async with open_gateway(main=ScriptedModel(answered("x")), budgets=budgets) as gateway:
        with pytest.raises(BudgetExceededError, match=r"cost center \[email\] [0-9a-f]{8}, day"):
            await gateway.ask(*ASK, cost_center="bob@example.com")
        await gateway.ask(*ASK, cost_center="ann@example.com")
        names = {row.cost_center for row in await gateway.ledger.interactions(10)}

    assert len(names) == 2
    assert "@" not in "".join(names)


@pytest.mark.parametrize("name", ["nul \0", "half of a pair \ud800"])
async def test_a_cost_centre_with_an_unusual_name_is_counted(open_gateway: Any, database_url: str, name: str) -> None:
    async with open_gateway(main=ScriptedModel(answered("x")), database_url=database_url) as gateway:
        await gateway.ask(*ASK, cost_center=name)

        assert await differences(gateway.ledger) == []
