"""Caps per user and minute, caps that only watch, warnings, the soft landing, and the headroom as data."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic_ai import Agent
from structlog.testing import capture_logs

from ai_base.llm.errors import BudgetExceededError
from ai_base.llm.interaction import attributed_to
from ai_base.llm.ledger.records import simulated_time
from ai_base.testing.doubles import RuleModel, ScriptedModel

CENT_A_CALL = {"price": {"input": "0", "output": "10"}, "max_output_tokens": 1000}  # at most, and exactly, $0.01


def cent_model() -> RuleModel:
    return RuleModel({"(?s).*": answered("x", 100, 1000)})


# ---- Which caps there are ----


@pytest.mark.parametrize("budgets", [{"each_user": {"day": "0.01"}}, {"users": {"ada": {"day": "0.01"}}}])
async def test_a_user_has_a_cap_of_their_own(open_gateway: Any, database_url: str, budgets: dict[str, Any]) -> None:
    candidates = {"main": CENT_A_CALL}
    async with open_gateway(
        main=cent_model(), candidates=candidates, budgets=budgets, database_url=database_url
    ) as gateway:
        await gateway.ask(*ASK, user="ada")
        with attributed_to(user="ada"), pytest.raises(BudgetExceededError, match="budget user ada, day"):
            await gateway.ask(*ASK, cost_center="another")
        await gateway.ask(*ASK, user="bob")
        await gateway.ask(*ASK)


async def test_a_cap_per_minute_limits_how_fast_money_is_spent(open_gateway: Any) -> None:
    time = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
    budgets = {"overall": {"minute": "0.01"}}
    async with open_gateway(main=cent_model(), candidates={"main": CENT_A_CALL}, budgets=budgets) as gateway:
        with simulated_time(lambda: time):
            await gateway.ask(*ASK)
            with pytest.raises(BudgetExceededError, match="overall, minute 2026-11-24T12:00"):
                await gateway.ask(*ASK)
            time += timedelta(minutes=1)
            await gateway.ask(*ASK)


# ---- Caps that only watch ----


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        ({"overall": {"day": "0.01"}}, "overall, day"),
        ({"interaction": {"dollars": "0.005"}}, "budget interaction"),
        ({"interaction": {"calls": 1}}, "1 calls of 1"),
    ],
)
async def test_caps_that_are_not_enforced_are_logged_and_everything_is_recorded(
    open_gateway: Any, caps: dict[str, Any], reason: str
) -> None:
    budgets = {**caps, "enforce": False}
    async with open_gateway(main=cent_model(), candidates={"main": CENT_A_CALL}, budgets=budgets) as gateway:
        with capture_logs() as logs:
            async with gateway.interaction("report"):
                answers = [await gateway.ask(*ASK) for _ in range(2)]
        [row] = await gateway.ledger.spend("day")

    assert [answer.source for answer in answers] == ["model"] * 2
    assert (row.calls, row.cost) == (2, 20_000_000)
    warnings = [line for line in logs if line["event"] == "llm cap exceeded, not enforced"]
    assert warnings
    assert reason in str(warnings[0])


# ---- Warnings ----


async def test_a_cap_that_is_nearly_used_up_is_reported_once(open_gateway: Any) -> None:
    warned: list[Any] = []
    budgets = {"overall": {"day": "0.04"}, "warn_at": 0.5}
    async with open_gateway(
        main=cent_model(), candidates={"main": CENT_A_CALL}, budgets=budgets, on_budget_warning=warned.append
    ) as gateway:
        with capture_logs() as logs:
            await gateway.ask(*ASK)
            assert warned == []
            for _ in range(3):
                await gateway.ask(*ASK)

    assert [(usage.scope.subject, usage.scope.period, usage.share) for usage in warned] == [("overall", "day", 0.5)]
    [line] = [line for line in logs if line["event"] == "llm cap nearly used up"]
    assert (line["log_level"], line["share"], line["cap"]) == ("warning", 0.5, "$0.04")


async def test_a_hook_that_raises_sends_nothing_and_leaves_nothing_held(open_gateway: Any) -> None:
    def page_someone(usage: Any) -> None:
        raise RuntimeError(f"no pager for {usage.scope.subject}")

    model = cent_model()
    budgets = {"overall": {"day": "0.04"}, "warn_at": 0.2}
    async with open_gateway(
        main=model, candidates={"main": CENT_A_CALL}, budgets=budgets, on_budget_warning=page_someone
    ) as gateway:
        with pytest.raises(RuntimeError, match="no pager for overall"):
            await gateway.ask(*ASK)

        [cap] = await gateway.budget("default")
        assert (model.requests, cap.spent, cap.held) == ([], 0, 0)


# ---- Soft landing ----


async def test_a_cheaper_chain_is_asked_once_a_share_of_a_cap_is_used(open_gateway: Any) -> None:
    budgets = {"overall": {"day": "0.02"}, "soft_landing": {"at": 0.5, "chain": "strong"}}
    models = {"main": cent_model(), "strong": RuleModel({"(?s).*": "cheap"})}
    options = {"candidates": {"main": CENT_A_CALL}, "budgets": budgets}
    async with open_gateway(**models, **options) as gateway:
        outputs = [(await gateway.ask(*ASK, chain="default")).output for _ in range(2)]
        outputs.append((await Agent(gateway.model()).run("hello")).output)
        async with gateway.stream(*ASK) as chunks:
            outputs.append("".join([chunk async for chunk in chunks]))

    assert outputs == ["x", "cheap", "cheap", "cheap"]
    async with open_gateway(**models, **options) as another:  # such as another process
        assert (await another.ask(*ASK)).output == "cheap"
    assert len(models["main"].requests) == 1


async def test_a_soft_landing_concerns_its_cost_centre_only(open_gateway: Any) -> None:
    budgets = {
        "cost_centers": {"support": {"day": "0.02"}},
        "soft_landing": {"at": 0.5, "chain": "strong"},
    }
    models = {"main": cent_model(), "strong": RuleModel({".*": "cheap"})}
    async with open_gateway(**models, candidates={"main": CENT_A_CALL}, budgets=budgets) as gateway:
        outputs = [(await gateway.ask(*ASK, cost_center=name)).output for name in ("support", "support", "sales")]

    assert outputs == ["x", "cheap", "x"]


async def test_during_a_soft_landing_no_stronger_chain_is_asked(open_gateway: Any) -> None:
    budgets = {"overall": {"day": "0.02"}, "soft_landing": {"at": 0.5, "chain": "cheap"}}
    options = {
        "candidates": {"main": CENT_A_CALL},
        "chains": {"cheap": ["backup"]},
        "budgets": budgets,
        "escalation": {"chain": "strong", "human": False},
    }
    models = {"main": cent_model(), "backup": RuleModel({".*": "unsure"}), "strong": ScriptedModel()}
    async with open_gateway(**models, **options) as gateway:
        await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK, confidence=lambda _: 0.1)

    assert (answer.output, answer.confidence) == ("unsure", 0.1)


# ---- Headroom ----


async def test_the_usage_of_each_cap_is_returned(open_gateway: Any, database_url: str) -> None:
    budgets = {"overall": {"month": "10"}, "each_cost_center": {"day": "0.06"}, "each_user": {"day": "1"}}
    async with open_gateway(
        main=cent_model(), candidates={"main": CENT_A_CALL}, budgets=budgets, database_url=database_url
    ) as gateway:
        before = await gateway.budget("support")
        for _ in range(3):
            await gateway.ask(*ASK, cost_center="support", user="ada")
        await gateway.ask(*ASK, cost_center="sales")
        day, month, user = sorted(await gateway.budget("support", "ada"), key=lambda status: status.scope)

    assert {(status.spent, status.calls_left, status.used_up_at) for status in before} == {(Decimal(0), None, None)}
    assert day.scope.startswith("cost center support, day 20")
    assert (day.cap, day.spent, day.held, day.left, day.share, day.calls_left) == (
        Decimal("0.06"),
        Decimal("0.03"),
        0,
        Decimal("0.03"),
        0.5,
        3,
    )
    assert day.dollars_per_minute == Decimal("0.03") / 60
    assert day.used_up_at is not None
    assert timedelta(0) < day.used_up_at - datetime.now(UTC) <= timedelta(minutes=60)
    assert (month.scope[:14], month.spent) == ("overall, month", Decimal("0.04"))
    assert (user.scope[:13], user.left) == ("user ada, day", Decimal("0.97"))


async def test_a_budget_without_caps_is_empty(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        assert await gateway.budget() == []
