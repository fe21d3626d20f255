"""The caller with the bug, with and without the gateway: it asks again whenever an answer is invalid."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import openai
from pydantic import BaseModel, ValidationError

from ai_base.demo.weekend.story import (
    CAP,
    CONTEXT,
    FRIDAY,
    INPUT_RATE,
    MONDAY,
    OUTPUT_RATE,
    OUTPUT_TOKENS,
    STEP,
    provider,
)
from ai_base.llm.errors import LLMError, RefusedError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.ledger.records import simulated_time
from ai_base.llm.money import dollars
from ai_base.testing.loopback import LoopbackProvider

TIMEOUT = 60.0
"""Seconds for one real request: enough on any machine, since a request that timed out would change the outcome."""

KEY = "WEEKEND_DEMONSTRATION_KEY"
PROMPT = "weekend"
COST_CENTER = "batch"


class Ticket(BaseModel):
    """What both callers want and never get."""

    category: str
    urgency: int


@dataclass
class Account:
    """What a caller has spent: by its own count, or by the ledger of its gateway."""

    spent: Decimal = Decimal(0)
    """US dollars."""
    refused: int = 0
    """Requests that were refused before they were sent."""
    curve: list[tuple[datetime, Decimal]] = field(default_factory=list)
    """Simulated time, and what was spent by then."""


@dataclass
class Weekend:
    """Both accounts, and how many requests each caller's provider billed."""

    naive: Account = field(default_factory=Account)
    guarded: Account = field(default_factory=Account)
    naive_requests: int = 0
    guarded_requests: int = 0
    now: datetime = FRIDAY


async def run(folder: Path, show: Callable[[Weekend], None], until: datetime = MONDAY) -> Weekend:
    """Run both callers on the simulated clock. `folder` holds the prompt and the ledger."""
    weekend = Weekend()
    with provider() as naive, provider() as guarded, simulated_time(lambda: weekend.now):
        async with _client(naive) as client, _gateway(guarded, folder) as gateway:
            while weekend.now < until:
                await _ask_provider(client, weekend.naive)
                await _ask_gateway(gateway, weekend.guarded)
                if guarded.count > weekend.guarded_requests:
                    weekend.guarded.spent = await _read_ledger(gateway)
                weekend.now += STEP
                weekend.naive.curve.append((weekend.now, weekend.naive.spent))
                weekend.guarded.curve.append((weekend.now, weekend.guarded.spent))
                weekend.naive_requests, weekend.guarded_requests = naive.count, guarded.count
                show(weekend)
    return weekend


def _client(server: LoopbackProvider) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=TIMEOUT)


async def _ask_provider(client: openai.AsyncOpenAI, account: Account) -> None:
    """Ask once with the provider's client. The bug: an invalid answer is ignored, and the caller asks again."""
    answer = await client.chat.completions.create(
        model="gpt-4", messages=[{"role": "user", "content": CONTEXT}], max_tokens=OUTPUT_TOKENS
    )
    if answer.usage:
        used = INPUT_RATE * answer.usage.prompt_tokens + OUTPUT_RATE * answer.usage.completion_tokens
        account.spent += used / 1_000_000
    with suppress(ValidationError):
        Ticket.model_validate_json(answer.choices[0].message.content or "")


async def _ask_gateway(gateway: Gateway, account: Account) -> None:
    """Ask once through the gateway, with the same bug."""
    try:
        await gateway.ask(PROMPT, {"ticket": CONTEXT}, output_type=Ticket, cost_center=COST_CENTER)
    except LLMError as error:
        account.refused += isinstance(error, RefusedError)


async def _read_ledger(gateway: Gateway) -> Decimal:
    return dollars(sum(row.cost for row in await gateway.ledger.spend("cost_center")))


@asynccontextmanager
async def _gateway(server: LoopbackProvider, folder: Path) -> AsyncIterator[Gateway]:
    prompts = folder / "prompts"
    prompts.mkdir()
    (prompts / f"{PROMPT}.md").write_text("{{ ticket }}", encoding="utf-8")
    candidate = {
        "model": "openai-chat:gpt-4",
        "base_url": server.url,
        "api_key_env": KEY,
        "price": {"input": str(INPUT_RATE), "output": str(OUTPUT_RATE)},
        "max_output_tokens": OUTPUT_TOKENS,
        "timeout": TIMEOUT,
    }
    config = {
        "candidates": {"main": candidate},
        "chains": {"default": ["main"]},
        "budgets": {"unlimited": True, "cost_centers": {COST_CENTER: {"day": str(CAP)}}},
        "retry": {"deadline": 10 * TIMEOUT},
    }
    with _environment(folder):
        async with Gateway.open(
            config=config, prompts=prompts, database_url=f"sqlite:///{folder}/ledger.db"
        ) as gateway:
            yield gateway


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Hide the project's own settings: its limits are not those of the demonstration."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("LLM__"):
            del os.environ[name]
    os.environ.update({"AI_BASE_ENV_FILE": str(folder / "no.env"), "NO_PROXY": "127.0.0.1", KEY: "none"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
