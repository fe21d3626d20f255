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


def test_rates_for_cached_and_reasoning_tokens_bound_and_count() -> None:
    rates = Configured(
        input=Decimal(1),
        output=Decimal(2),
        cached_input=Decimal("0.5"),
        cache_write=Decimal("1.25"),
        reasoning=Decimal(3),
    )
    price = price_of("x:y", rates)
    usage = RequestUsage(
        input_tokens=100, cache_read_tokens=20, cache_write_tokens=40, output_tokens=10, output_reasoning_tokens=5
    )

    assert price is not None
    assert price.cost(usage) == 40 * 1_000 + 20 * 500 + 40 * 1_250 + 5 * 2_000 + 5 * 3_000
    assert price.bound(100, 10) == 100 * 1_250 + 10 * 3_000  # whatever is cached or thought, this is enough


def test_a_rate_of_zero_is_a_rate() -> None:
    price = price_of("x:y", Configured(input=Decimal(1), output=Decimal(2), cached_input=Decimal(0)))

    assert price is not None
    assert price.cost(RequestUsage(input_tokens=100, cache_read_tokens=100, output_tokens=0)) == 0


@pytest.mark.parametrize(
    "usage",
    [RequestUsage(input_tokens=1, cache_read_tokens=2), RequestUsage(output_tokens=1, output_reasoning_tokens=2)],
)
def test_a_report_that_contradicts_itself_has_no_cost(usage: RequestUsage) -> None:
    price = price_of("openai-chat:ours", OURS)

    assert price is not None
    with pytest.raises(ValueError, match="more cached or reasoning tokens"):
        price.cost(usage)


@pytest.mark.parametrize("model", ["openai:gpt-4o", "openai:gpt-4o-mini", "google:gemini-2.5-flash"])
def test_fees_of_native_tools_are_no_fee_of_every_call(model: str) -> None:
    """They are refused, so a bound is what the tokens cost and no more."""
    price = price_of(model)

    assert price is not None
    assert price.call == 0
    assert price.bound(0, 0) == 0


def test_a_fee_of_every_call_is_in_the_bound() -> None:
    price = price_of("perplexity:sonar")

    assert price is not None
    assert price.bound(0, 0) > 0


def test_a_model_that_searches_by_itself_has_no_bound() -> None:
    assert price_of("perplexity:sonar-deep-research") is None
