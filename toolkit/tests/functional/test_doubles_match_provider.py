"""Each fault raises or answers what the real client makes of a real server that fails like that."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic_ai import direct
from pydantic_ai.exceptions import AgentRunError, ModelAPIError
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from ai_base.testing import faults
from ai_base.testing.doubles import EchoModel
from ai_base.testing.faults import Fault, FaultyModel
from ai_base.testing.loopback import LoopbackProvider, Reply

MODEL = "gpt-5-mini"

ERRORS = {
    "rate_limited": (faults.rate_limited(2), Reply(status=429, headers={"retry-after": "2"})),
    "rate_limited briefly": (
        faults.rate_limited(0.25),
        Reply(status=429, headers={"retry-after": "1", "retry-after-ms": "250"}),
    ),
    "server_error": (faults.server_error(), Reply(status=500)),
    "timed_out": (faults.timed_out(), Reply(hang=True)),
    "reset": (faults.reset(), Reply(reset=True, text="The answer")),
    "revoked_key": (faults.revoked_key(), Reply(status=401)),
    "retired_model": (faults.retired_model(), Reply(status=404)),
    "bad_request": (faults.bad_request(), Reply(status=400)),
    "exhausted_quota": (faults.exhausted_quota(), Reply(status=429, error=faults.EXHAUSTED_QUOTA)),
    "context_too_long": (faults.context_too_long(), Reply(status=400, error=faults.CONTEXT_TOO_LONG)),
    "flagged": (faults.flagged(), Reply(status=403, error=faults.FLAGGED)),
}

ANSWERS = {
    "good": (None, Reply(text="Who is there?")),
    "slow": (faults.slow(0.02), Reply(text="Who is there?", delay=0.02)),
    "invalid_json": (faults.invalid_json(), Reply(text='{"summary": "It crashes", "urgency": }')),
    "wrong_schema": (faults.wrong_schema(), Reply(text='{"unexpected": true}')),
    "refusal": (faults.refusal(), Reply(refusal="I can't help with that.")),
    "truncated": (faults.truncated(), Reply(text='{"summary": "It cra', finish_reason="length")),
}


@dataclass
class Outcome:
    """What a call came to; in a stream, with the text that came before."""

    response: ModelResponse | None = None
    error: AgentRunError | None = None
    text: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


async def call(model: Model, *, stream: bool) -> Outcome:
    outcome = Outcome()
    messages = [ModelRequest.user_text_prompt("Who is there?")]
    try:
        if stream:
            async with direct.model_request_stream(model, messages) as events:
                try:
                    async for _ in events:
                        pass
                finally:
                    outcome.text = events.get().text or ""
                outcome.response = events.get()
        else:
            outcome.response = await direct.model_request(model, messages)
            outcome.text = outcome.response.text or ""
    except AgentRunError as error:
        outcome.error = error
        outcome.facts = {key: value for key, value in vars(error).items() if key != "headers"}
    return outcome


async def real(url: str, *, stream: bool, patience: float = 60) -> Outcome:
    async with OpenAIProvider(base_url=url, api_key="not-a-key") as provider:
        model = OpenAIChatModel(MODEL, provider=provider, settings={"max_retries": 0, "timeout": patience})
        return await call(model, stream=stream)


def double(fault: Fault | None, *, stream: bool) -> Outcome:
    return asyncio.run(call(FaultyModel(EchoModel(MODEL), fault), stream=stream))


def compare_errors(ours: Outcome, theirs: Outcome) -> None:
    assert ours.error is not None
    assert type(ours.error) is type(theirs.error)
    assert str(ours.error) == str(theirs.error)
    assert ours.facts == theirs.facts


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("fault", "reply"), ERRORS.values(), ids=ERRORS)
def test_raises_what_the_real_client_raises(fault: Fault, reply: Reply, *, stream: bool) -> None:
    with LoopbackProvider(reply) as provider:
        patience = 0.1 if reply.hang else 60  # only what never answers may run into it
        theirs = asyncio.run(real(provider.url, stream=stream, patience=patience))

    ours = double(fault, stream=stream)

    compare_errors(ours, theirs)
    assert ours.text == theirs.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refused_connection_is_the_real_one(*, stream: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    theirs = asyncio.run(real(f"http://127.0.0.1:{port}/v1", stream=stream))

    compare_errors(double(faults.refused(), stream=stream), theirs)


def test_a_garbled_body_is_the_real_one() -> None:
    with LoopbackProvider(Reply(raw="")) as provider:
        theirs = asyncio.run(real(provider.url, stream=False))

    compare_errors(double(faults.garbled(), stream=False), theirs)
    assert type(theirs.error) is ModelAPIError


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("fault", "reply"), ANSWERS.values(), ids=ANSWERS)
def test_answers_and_charges_as_the_real_client(fault: Fault | None, reply: Reply, *, stream: bool) -> None:
    def facts(outcome: Outcome) -> tuple[object, ...]:
        assert outcome.response is not None
        response = outcome.response
        usage = response.usage
        return response.text, response.finish_reason, response.state, usage.input_tokens, usage.output_tokens

    with LoopbackProvider(reply) as provider:
        theirs = asyncio.run(real(provider.url, stream=stream))

    assert facts(double(fault, stream=stream)) == facts(theirs)


def test_every_fault_is_compared() -> None:
    made = {name for name, one in vars(faults).items() if getattr(one, "__annotations__", {}).get("return") is Fault}

    assert made - {"_status"} == {name.split()[0] for name in [*ERRORS, *ANSWERS, "refused", "garbled"]} - {"good"}
