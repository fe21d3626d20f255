"""A bound is never below the cost; no price is no price."""

from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot
from pydantic_ai.usage import RequestUsage

from ai_base.llm.configuration.prices import Rates as Configured
from ai_base.llm.configuration.prices import price_of

OURS = Configured(input=Decimal("0.25"), output=Decimal("2.00"))


def test_a_configured_price_is_exact() -> None:
    price = price_of("openai-chat:ours", OURS)

    assert price is not None
    assert price.bound(1_000_000, 1_000_000) == 2_250_000_000  # nanodollars
    assert price.cost(RequestUsage(input_tokens=3, output_tokens=1)) == 2_750


def test_amounts_are_rounded_up() -> None:
    price = price_of("x:y", Configured(input=Decimal("0.0001"), output=Decimal(0)))

    assert price is not None
    assert price.bound(1, 0) == price.cost(RequestUsage(input_tokens=1, output_tokens=0)) == 1


@pytest.mark.parametrize("model", ["openai:gpt-5.4-mini", "openai-chat:gpt-5.4-mini", "anthropic:claude-haiku-5-5"])
def test_known_models_have_a_price(model: str) -> None:
    price = price_of(model)

    assert price is not None
    assert price.bound(1000, 1000) > 0


@pytest.mark.parametrize("model", ["openai:no-such-model", "no-such-provider:gpt-5.4-mini", "openai:whisper-1"])
def test_unknown_models_and_those_not_paid_by_the_token_have_none(model: str) -> None:
    assert price_of(model) is None


def test_offline_costs_nothing() -> None:
    price = price_of("offline:")

    assert price is not None
    assert price.bound(10**6, 10**6) == price.cost(RequestUsage(input_tokens=10**6, output_tokens=10**6)) == 0


def test_no_price_that_is_known_costs_more_than_its_bound() -> None:
    """Cached, written to the cache, beyond a tier: whatever the tokens are."""
    checked = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            price = price_of(f"{provider.id}:{model.id}")
            if price is None:
                continue
            for usage in (
                RequestUsage(input_tokens=500_000, output_tokens=20_000),
                RequestUsage(input_tokens=500_000, cache_write_tokens=400_000, output_tokens=20_000),
                RequestUsage(input_tokens=500_000, cache_read_tokens=400_000, output_tokens=20_000),
            ):
                assert price.cost(usage) <= price.bound(500_000, 20_000), f"{provider.id}:{model.id} {usage}"
                checked += 1
    assert checked > 1000
