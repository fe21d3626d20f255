"""Attempts are bounded; a candidate that is down or misconfigured is skipped."""

import asyncio
import time
from typing import Any

import pytest
from gateway_cases import ASK, ChangedModel, answered
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from structlog.testing import capture_logs

from ai_base.llm.errors import (
    AllCandidatesFailedError,
    AttemptFailedError,
    RejectedRequestError,
)
from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    bad_request,
    rate_limited,
    retired_model,
    revoked_key,
    server_error,
)
from ai_base.text.scrub import scrub


async def test_transient_failures_are_retried_then_the_next_candidate_is_asked(open_gateway: Any) -> None:
    primary = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=primary, backup=ScriptedModel(answered("here"))) as gateway:
        answer = await gateway.ask(*ASK)
        _, attempts = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.output == "here"
    assert [attempt.candidate for attempt in attempts] == ["main", "main", "backup"]


async def test_a_retry_that_would_come_too_late_is_left_out(open_gateway: Any) -> None:
    primary = FaultyModel(EchoModel(), rate_limited(retry_after=60))
    async with open_gateway(main=primary, backup=ScriptedModel(answered("x"))) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 2)


@pytest.mark.parametrize("fault", [revoked_key(), retired_model()])
async def test_a_misconfigured_candidate_is_asked_once_and_taken_out(open_gateway: Any, fault: Any) -> None:
    """It is not retried, and a second, different question confirms the failure."""
    primary = FaultyModel(EchoModel(), fault, forever=True)
    async with open_gateway(main=primary, backup=RuleModel({".*": answered("x")})) as gateway:
        with capture_logs() as logs:
            answers = [await gateway.ask("plain", {"question": f"Why {number}?"}) for number in range(5)]

    assert [answer.calls for answer in answers] == [2, 2, 1, 1, 1]
    errors = [line for line in logs if line["log_level"] == "error" and line.get("candidate") == "main"]
    assert [line["event"] for line in errors] == ["llm candidate taken out: change its configuration"]


async def test_one_users_question_takes_no_candidate_out(open_gateway: Any) -> None:
    """However often it is asked, as long as it alone is answered with 404 or 403."""
    primary = FaultyModel(RuleModel({".*": answered("fine")}), *[retired_model()] * 4)
    async with open_gateway(main=primary, backup=RuleModel({".*": answered("x")})) as gateway:
        for _ in range(4):
            assert (await gateway.ask(*ASK)).output == "x"

        assert (await gateway.ask("plain", {"question": "Another one?"})).output == "fine"


async def test_a_missing_key_takes_only_its_candidate_out(open_gateway: Any) -> None:
    keyed = {"main": {"api_key_env": "NO_SUCH_KEY"}}
    with capture_logs() as logs:
        async with open_gateway(backup=ScriptedModel(answered("x")), candidates=keyed) as gateway:
            answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 1)
    [error] = [line["error"] for line in logs if line["log_level"] == "error" and line["candidate"] == "main"]
    assert "NO_SUCH_KEY is missing or empty" in error
    assert scrub(error) == error


async def test_without_a_key_an_error_names_the_variable(open_gateway: Any) -> None:
    async with open_gateway(
        candidates={"main": {"api_key_env": "NO_SUCH_KEY"}}, chains={"default": ["main"]}
    ) as gateway:
        with pytest.raises(AllCandidatesFailedError, match="NO_SUCH_KEY is missing or empty"):
            await gateway.ask(*ASK)


async def test_a_rejected_request_is_an_error_at_once(open_gateway: Any) -> None:
    async with open_gateway(main=FaultyModel(EchoModel(), bad_request()), backup=ScriptedModel()) as gateway:
        with pytest.raises(RejectedRequestError, match="main: "):
            await gateway.ask(*ASK, fallback=lambda: "never")


async def test_after_a_few_failures_a_candidate_is_skipped(open_gateway: Any) -> None:
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


async def test_a_slow_candidate_is_given_up_after_its_time_out(open_gateway: Any) -> None:
    sleepy = RuleModel({".*": Step("x", delay=30)})
    quick = {"main": {"timeout": 0.05}}
    async with open_gateway(main=sleepy, backup=ScriptedModel(answered("y")), candidates=quick) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("y", 3)


async def test_a_candidate_that_fails_inside_anothers_stream_opens_its_own_breaker_only(open_gateway: Any) -> None:
    models = {"main": RuleModel({".*": answered("one two")}), "strong": FaultyModel(EchoModel(), revoked_key())}
    async with open_gateway(**models, breaker={"failures": 1}) as gateway:
        strong = gateway.model("strong").models[0]
        with pytest.raises(AttemptFailedError, match="strong: "):  # noqa: PT012 - as above
            async with gateway.stream(*ASK) as chunks:
                await anext(aiter(chunks))
                await strong.request([ModelRequest.user_text_prompt("hi")], None, ModelRequestParameters())

        assert (await gateway.ask(*ASK)).output == "one two"


async def test_an_exception_of_the_client_library_is_the_candidates_failure(open_gateway: Any) -> None:
    def stumble(_: ModelResponse) -> ModelResponse:
        raise IndexError("list index out of range")

    changed = ChangedModel(stumble)
    async with open_gateway(main=changed, backup=ScriptedModel("y"), retry={"attempts": 1}) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("y", 2)
