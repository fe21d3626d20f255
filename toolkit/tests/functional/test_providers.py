"""What providers really do: errors of every kind, rate limits, refusals, reports that do not add up, huge bodies."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic_ai import Agent
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from structlog.testing import capture_logs

from ai_base.llm.errors import (
    AllCandidatesFailedError,
    InvalidInputError,
    ModelRefusalError,
    RejectedRequestError,
)
from ai_base.testing.doubles import RuleModel, ScriptedModel
from ai_base.testing.faults import FaultyModel, refusal
from ai_base.testing.loopback import LoopbackProvider, Reply

LONG_ASK = ("plain", {"question": "Why?" * 2000})  # 8,000 bytes: reports of up to 8,000 tokens are credible
GENERAL = "invalid_request_error"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackProvider]:
    monkeypatch.setenv("PROVIDER_KEY", "key-for-tests")
    with LoopbackProvider() as server:
        yield server


def at(provider: LoopbackProvider, **candidate: Any) -> dict[str, Any]:
    """Settings whose candidate `main` is at the provider; the others are doubles."""
    where = {"base_url": provider.url, "api_key_env": "PROVIDER_KEY", "timeout": 60}
    return {"candidates": {"main": {**where, **candidate}}, "retry": {"deadline": 120}}


def error(message: str, kind: str = GENERAL, code: str | None = None) -> tuple[str, str, str | None]:
    return message, kind, code


@pytest.mark.parametrize(
    ("status", "details"),
    [
        (400, error("maximum context length is 128000 tokens", code="context_length_exceeded")),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum")),
        (400, error("You have reached your specified API usage limits. You will regain access on 2026-12-01")),
        (400, error("The response was filtered due to Azure's content management policy", code="content_filter")),
        (400, error("Unsupported parameter: 'temperature'", code="unsupported_parameter")),
        (400, error("temperature is not supported by this model")),
        (400, error("The model has been decommissioned", code="model_decommissioned")),
        (401, error("Incorrect API key provided", code="invalid_api_key")),
        (402, error("Payment required")),
        (403, error("The input was flagged by moderation")),
        (404, error("The model does not exist", code="model_not_found")),
        (410, error("Gone")),
        (413, error("Request too large", "request_too_large")),
        (429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
        (498, error("Flex capacity exceeded", code="capacity_exceeded")),
    ],
)
async def test_the_next_candidate_answers_after_a_failure_of_the_candidates_own(
    open_gateway: Any, provider: Any, status: int, details: tuple[str, str, str | None]
) -> None:
    """At once: no retry can help."""
    provider.behaviour = Reply(status=status, error=details)
    async with open_gateway(**at(provider), backup=ScriptedModel(answered("here"))) as gateway:
        answer = await gateway.ask(*ASK)

        assert (answer.output, provider.count) == ("here", 1)
        assert gateway.model().models[0].breaker.state == "closed"


@pytest.mark.parametrize(
    ("status", "details"),
    [
        (400, error("Invalid schema for function 'shout': 'pattern' is not supported")),
        (400, error("Invalid 'tools[0].function.parameters'", code="invalid_function_parameters")),
        (422, error("messages: field required")),
    ],
)
async def test_a_request_that_any_provider_rejects_is_an_error_at_once(
    open_gateway: Any, provider: Any, status: int, details: tuple[str, str, str | None]
) -> None:
    provider.behaviour = Reply(status=status, error=details)
    async with open_gateway(**at(provider), backup=ScriptedModel()) as gateway:
        with pytest.raises(RejectedRequestError):
            await gateway.ask(*ASK)

    assert provider.count == 1


@pytest.mark.parametrize("status", [500, 502, 503, 520, 524, 529])
async def test_an_outage_is_retried(open_gateway: Any, provider: Any, status: int) -> None:
    replies = iter([Reply(status=status), Reply(text="back")])
    provider.behaviour = lambda _: next(replies)
    async with open_gateway(**at(provider)) as gateway:
        assert (await gateway.ask(*ASK)).output == "back"


async def test_a_short_rate_limit_fails_nobody_and_opens_no_circuit(open_gateway: Any, provider: Any) -> None:
    """Twenty callers at once, and the provider refuses the first twenty requests."""
    limited = Reply(status=429, headers={"retry-after-ms": "20"})
    provider.behaviour = lambda _: limited if provider.count <= 20 else Reply(text="fine")
    async with open_gateway(**at(provider), breaker={"failures": 1}) as gateway:
        answers = await asyncio.gather(*(gateway.ask(*ASK) for _ in range(20)))
        _, attempts = await gateway.ledger.interaction(answers[0].interaction_id)

        assert [answer.output for answer in answers] == ["fine"] * 20
        assert gateway.model().models[0].breaker.state == "closed"
        assert (attempts[0].status, attempts[0].cost) == ("failed", 0)


# ---- Refusals ----


async def test_a_refusal_is_an_error_with_its_text_and_is_not_repaired(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = Reply(refusal="I can't help with that.")
    async with open_gateway(**at(provider), backup=ScriptedModel()) as gateway:
        with pytest.raises(ModelRefusalError, match="main refuses: I can't help with that") as caught:
            await gateway.ask(*ASK, output_type=dict)
        [row] = await gateway.ledger.interactions(1)

    assert caught.value.refusal == "I can't help with that."
    assert (provider.count, row.calls) == (1, 1)
    assert row.cost > 0


async def test_a_refusal_can_go_to_the_next_candidate(open_gateway: Any) -> None:
    models = {"main": FaultyModel(ScriptedModel(), refusal()), "backup": ScriptedModel(answered("gladly"))}
    async with open_gateway(**models, candidates={"main": {"when_refused": "next"}}) as gateway:
        assert (await gateway.ask(*ASK)).output == "gladly"


async def test_a_streamed_refusal_is_an_error_with_its_text(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = Reply(refusal="I can't help with that.")
    async with open_gateway(**at(provider)) as gateway:
        with pytest.raises(ModelRefusalError, match="I can't help with that"):
            async with gateway.stream(*ASK) as chunks:
                assert [chunk async for chunk in chunks] == []


async def test_an_agent_is_told_of_a_refusal(open_gateway: Any) -> None:
    async with open_gateway(main=FaultyModel(ScriptedModel(), refusal("No."))) as gateway:
        with pytest.raises(ModelRefusalError, match=r"No\."):
            await Agent(gateway.model()).run("hello")


# ---- Reports ----


def report(prompt: int, completion: int, total: int, reasoning: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        (report(1000, 100, 1100), 100),
        (report(1000, 400, 1400, reasoning=300), 400),  # within the completion
        (report(1000, 100, 2100, reasoning=1000), 1100),  # beside the completion
        (report(1000, 400, 1700, reasoning=300), 700),  # beside it, as only the total tells
        (report(1000, 100, 1100, reasoning=1000), 1100),  # beside it, as only the parts tell
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_tokens_are_charged_where_the_provider_counts_them_apart(
    open_gateway: Any, provider: Any, usage: dict[str, Any], output: int, *, stream: bool
) -> None:
    provider.behaviour = Reply(usage=usage)
    async with open_gateway(**at(provider, max_output_tokens=2000)) as gateway:
        if stream:
            async with gateway.stream(*LONG_ASK) as chunks:
                assert "".join([chunk async for chunk in chunks]) == "ok"
        else:
            await gateway.ask(*LONG_ASK)
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)

    assert (attempt.input_tokens, attempt.output_tokens) == (1000, output)
    assert attempt.cost == 1000 * 1_000 + output * 2_000
    assert attempt.reasoning_tokens == usage["completion_tokens_details"]["reasoning_tokens"]


@pytest.mark.parametrize(("mode", "times"), [("auto", 1), ("last", 1), ("sum", 6)])
async def test_cumulative_reports_in_each_chunk_count_once(
    open_gateway: Any, provider: Any, mode: str, times: int
) -> None:
    provider.behaviour = Reply(text="one two three", usage=report(1000, 100, 1100), usage_in_each_chunk=True)
    async with open_gateway(**at(provider, usage=mode)) as gateway:
        async with gateway.stream(*LONG_ASK) as chunks:
            assert "".join([chunk async for chunk in chunks]) == "one two three"
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)

    assert (attempt.input_tokens, attempt.cost) == (times * 1000, times * 1_200_000)


async def test_a_report_beyond_what_was_possible_costs_the_bound(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = Reply(usage=report(900_000_000, 1, 900_000_001))
    async with open_gateway(**at(provider)) as gateway:
        with capture_logs() as logs:
            answer = await gateway.ask(*ASK)
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    assert (attempt.cost, attempt.cost_basis, attempt.input_tokens) == (attempt.reserved, "assumed", 0)
    assert "llm usage is not credible, the reservation is charged" in [line["event"] for line in logs]


async def test_the_models_name_is_stored_without_escapes_addresses_and_length(open_gateway: Any, provider: Any) -> None:
    name = "\x1b[31mgpt\u202e of ada@example.com " + "x" * 10_000
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": name}
    choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    provider.behaviour = Reply(raw=json.dumps({**body, "choices": [choice], "usage": report(10, 1, 11)}))
    async with open_gateway(**at(provider)) as gateway:
        answer = await gateway.ask(*ASK)
        row, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    for stored in (answer.model, row.model, attempt.model):
        assert len(stored) == 100
        assert stored.startswith("[31mgpt of ")
        assert stored.isprintable()
        assert "ada@example.com" not in stored


# ---- Sizes ----


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_huge_response_is_given_up(open_gateway: Any, provider: Any, *, compress: bool, stream: bool) -> None:
    """20 MB, or 20 kB if compressed. The next candidate answers."""
    provider.behaviour = Reply(raw=" " * 20_000_000, compress=compress)
    async with open_gateway(**at(provider), backup=ScriptedModel(answered("small"))) as gateway:
        if stream:
            async with gateway.stream(*ASK) as chunks:
                output = "".join([chunk async for chunk in chunks])
        else:
            output = (await gateway.ask(*ASK)).output
        [row] = await gateway.ledger.interactions(1)
        _, [first, _] = await gateway.ledger.interaction(row.id)

    assert (output, provider.count) == ("small", 1)
    assert (first.status, first.cost_basis) == ("failed", "assumed")


async def test_a_compressed_answer_is_read(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = Reply(text="pressed", compress=True)
    async with open_gateway(**at(provider)) as gateway:
        assert (await gateway.ask(*ASK)).output == "pressed"


# ---- Slots and input ----


async def test_slow_readers_of_streams_hold_no_slots(open_gateway: Any) -> None:
    """There is one slot and no queue: whatever finds the slot taken is refused at once."""
    model = RuleModel({".*": "one two three"})
    single = {"main": {"concurrency": 1, "queue": 0}}
    received, meanwhile = [], []
    async with open_gateway(main=model, candidates=single) as gateway, gateway.stream(*ASK) as chunks:
        async for chunk in chunks:
            received.append(chunk)
            meanwhile.append(await gateway.ask("plain", {"question": f"And after {chunk!r}?"}))

    assert received == ["one", " two", " three"]
    assert [answer.output for answer in meanwhile] == ["one two three"] * 3


async def test_half_of_a_surrogate_pair_is_refused_before_it_is_sent(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(InvalidInputError, match="surrogate"):
            await Agent(gateway.model()).run("half \ud800")


async def test_a_turn_is_waited_for_until_the_deadline(open_gateway: Any) -> None:
    """Not only as long as one attempt may take."""
    limits = {"main": {"timeout": 60}}
    async with open_gateway(main=ScriptedModel("x"), candidates=limits, retry={"deadline": 600}) as gateway:
        [guard, _] = gateway.model().models
        patience = []
        slot = guard.limiter.slot

        def observed(seconds: float, longest_pause: float) -> Any:
            patience.append(seconds)
            return slot(seconds, longest_pause)

        guard.limiter.slot = observed
        await gateway.ask(*ASK)

    assert 500 < patience[0] <= 600


async def test_an_unusable_answer_of_every_candidate_names_them_all(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = Reply(status=413)
    async with open_gateway(**at(provider), chains={"default": ["main"]}) as gateway:
        with pytest.raises(AllCandidatesFailedError, match=r"main: .*413"):
            await gateway.ask(*ASK)


# ---- Personal data in what providers send ----


async def test_an_attempts_error_is_scrubbed(open_gateway: Any, provider: Any) -> None:
    """Providers quote the request, and a part of the key."""
    leak = "bad input 'ada@example.com' for key sk-proj-abcdefghijklmnopqrstuvwxyz012345"
    provider.behaviour = Reply(status=400, error=error(leak))
    async with open_gateway(**at(provider)) as gateway:
        with capture_logs() as logs, pytest.raises(RejectedRequestError) as caught:
            await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)

    assert "bad input" in attempt.error
    for text in (attempt.error, row.error, str(caught.value), str(logs)):
        assert "ada@example.com" not in text
        assert "abcdefghijklmnopqrstuvwxyz012345" not in text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_scrubbed(open_gateway: Any, *, stream: bool) -> None:
    model = FaultyModel(ScriptedModel(), refusal("I do not write to ada@example.com."))
    async with open_gateway(main=model) as gateway:
        with pytest.raises(ModelRefusalError) as caught:  # noqa: PT012 - a stream raises at its end
            if stream:
                async with gateway.stream(*ASK) as chunks:
                    assert [chunk async for chunk in chunks] == []
            else:
                await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(1)

    assert "I do not write to" in row.error
    assert "ada@example.com" not in row.error + str(caught.value)


async def test_what_is_streamed_from_a_chain_is_recorded_scrubbed(open_gateway: Any) -> None:
    messages = [ModelRequest.user_text_prompt("Who?")]
    async with open_gateway(main=ScriptedModel("Write to ada@example.com.")) as gateway:
        async with gateway.model().request_stream(messages, None, ModelRequestParameters()) as stream:
            events = [event async for event in stream]
        [row] = await gateway.ledger.interactions(1)

    assert len(events) > 1
    assert "Write to" in row.response
    assert "ada@example.com" not in row.response


async def test_a_streamed_agents_row_holds_its_answer(open_gateway: Any) -> None:
    """Not the tool call that came first."""
    call = ModelResponse([ToolCallPart("look_up", {"word": "cable"})])
    agent = Agent(None, tools=[look_up])
    async with open_gateway(main=ScriptedModel(call, "It is long.")) as gateway:
        async with agent.run_stream("How long?", model=gateway.model()) as result:
            assert await result.get_output() == "It is long."
        [row] = await gateway.ledger.interactions(9)

    assert (row.response, row.calls) == ("It is long.", 2)


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: 2 m"
