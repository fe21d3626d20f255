"""The gateway and a real client, over real HTTP, against a provider on this machine."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from ai_base.llm.errors import AllCandidatesFailedError
from ai_base.llm.ledger.audit import differences
from ai_base.testing.loopback import LoopbackProvider, Reply


class Verdict(BaseModel):
    category: str


ASK = ("plain", {"question": "Why?"})
LONG_QUESTION = "Why?" * 1000  # 4,000 bytes, so 1,000 tokens are a credible report


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackProvider]:
    monkeypatch.setenv("PROVIDER_KEY", "key-for-tests")
    with LoopbackProvider() as server:
        yield server


def only(provider: LoopbackProvider, **candidate: Any) -> dict[str, Any]:
    """Settings for one candidate at the provider, which is asked twice."""
    where = {"base_url": provider.url, "api_key_env": "PROVIDER_KEY"}
    return {
        "candidates": {"main": {**where, **candidate}},
        "chains": {"default": ["main"]},
        "budgets": {"unlimited": True},
    }


async def test_an_answer_and_its_price_come_from_the_providers_report(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = lambda _: Reply(text="Because.", input_tokens=1000, output_tokens=10)
    async with open_gateway(**only(provider, max_output_tokens=77, context_window=10_000)) as gateway:
        answer = await gateway.ask("plain", {"question": LONG_QUESTION})
        _, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    [request] = provider.requests
    assert answer.output == "Because."
    assert (attempt.input_tokens, attempt.output_tokens, attempt.cost) == (1000, 10, 1_020_000)
    assert request.body["messages"] == [{"role": "user", "content": LONG_QUESTION}]
    assert 77 in (request.body.get("max_completion_tokens"), request.body.get("max_tokens"))
    assert attempt.context_used == pytest.approx(0.101)


async def test_the_rate_limit_in_the_headers_is_noted(open_gateway: Any, provider: Any) -> None:
    headers = {"x-ratelimit-limit-requests": "200", "x-ratelimit-remaining-requests": "150"}
    headers |= {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "400"}
    provider.behaviour = lambda _: Reply(text="x", headers=headers)
    async with open_gateway(**only(provider)) as gateway:
        answers = await asyncio.gather(gateway.ask(*ASK), gateway.ask(*ASK))
        attempts = [(await gateway.ledger.interaction(answer.interaction_id))[1][0] for answer in answers]

    assert [attempt.limit_left for attempt in attempts] == [0.4, 0.4]


@pytest.mark.parametrize(
    ("reply", "requests", "charged"),
    [
        (Reply(status=500), 2, True),
        (Reply(status=503), 2, False),
        (Reply(status=429, headers={"retry-after": "0"}), 2, False),
        (Reply(status=401), 1, False),
        (Reply(status=404), 1, False),
        (Reply(reset=True), 2, True),
        (Reply(hang=True), 2, True),
        (Reply(raw="<html>not JSON</html>"), 2, True),
        (Reply(raw='{"unexpected": 1}'), 2, True),
    ],
)
async def test_a_failing_provider_is_asked_as_often_as_configured_and_no_more(
    open_gateway: Any, provider: Any, reply: Reply, requests: int, *, charged: bool
) -> None:
    """The client library has retries of its own; they must stay off."""
    provider.behaviour = lambda _: reply
    patience = 0.2 if reply.hang else 60  # only what never answers may run into it
    async with open_gateway(**only(provider, timeout=patience)) as gateway:
        with pytest.raises(AllCandidatesFailedError):
            await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(1)
        _, attempts = await gateway.ledger.interaction(row.id)
        assert await differences(gateway.ledger) == []

    assert len(provider.requests) == len(attempts) == requests
    assert [attempt.cost > 0 for attempt in attempts] == [charged] * requests


async def test_a_provider_that_is_not_there_costs_nothing(open_gateway: Any, provider: Any) -> None:
    gone = only(provider, base_url="http://127.0.0.1:9/v1")
    async with open_gateway(**gone) as gateway:
        with pytest.raises(AllCandidatesFailedError):
            await gateway.ask(*ASK)
        [row] = await gateway.ledger.interactions(1)

    assert (row.calls, row.cost) == (2, 0)


async def test_a_structured_answer_is_asked_for_by_its_schema(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = lambda _: Reply(text='{"category": "bug"}')
    async with open_gateway(**only(provider)) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert answer.output == Verdict(category="bug")
    assert '"category"' in json.dumps(provider.requests[0].body)


async def test_a_stream_reports_its_tokens(open_gateway: Any, provider: Any) -> None:
    provider.behaviour = lambda _: Reply(text="one two three", input_tokens=9, output_tokens=3)
    async with open_gateway(**only(provider)) as gateway:
        async with gateway.stream(*ASK) as chunks:
            text = "".join([chunk async for chunk in chunks])
        [row] = await gateway.ledger.interactions(1)
        _, [attempt] = await gateway.ledger.interaction(row.id)

    assert text == "one two three"
    assert (attempt.input_tokens, attempt.output_tokens, attempt.cost_basis) == (9, 3, "reported")


async def test_connections_are_pooled(open_gateway: Any, provider: Any) -> None:
    async with open_gateway(**only(provider)) as gateway:
        for number in range(5):
            await gateway.ask("plain", {"question": str(number)})

    assert (provider.count, provider.connections) == (5, 1)
