"""The highest and the actual cost of a call, in nanodollars."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import cache
from typing import Annotated

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, TieredPrices
from pydantic import BaseModel, ConfigDict, Field
from pydantic_ai.usage import RequestUsage

from ai_base.llm.money import NANO

type Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]

OFFLINE = "offline"
"""The provider that calls nobody and costs nothing."""

_FREE = Decimal(0)

PER_CALL = "requests_kcount"
"""The only fee of genai-prices that every call costs; the others, such as web searches, are fees of native tools."""


class Rates(BaseModel):
    """US dollars per million tokens, as configured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Dollars
    """For input."""
    output: Dollars
    """For output."""
    cached_input: Dollars | None = None
    """For input read from the provider's cache; by default as `input`."""
    cache_write: Dollars | None = None
    """For input written to the provider's cache; by default as `input`."""
    reasoning: Dollars | None = None
    """For output that is not shown; by default as `output`."""

    def cost(self, usage: RequestUsage) -> Decimal:
        """Return the cost of the reported tokens, in dollars."""
        read, written, reasoning = usage.cache_read_tokens, usage.cache_write_tokens, usage.output_reasoning_tokens
        if min(read, written, reasoning) < 0 or read + written > usage.input_tokens or reasoning > usage.output_tokens:
            raise ValueError("more cached or reasoning tokens than input or output tokens")
        millionths = (
            self.input * (usage.input_tokens - read - written)
            + _first(self.cached_input, self.input) * read
            + _first(self.cache_write, self.input) * written
            + self.output * (usage.output_tokens - reasoning)
            + _first(self.reasoning, self.output) * reasoning
        )
        return millionths / 1_000_000


def _first(rate: Decimal | None, default: Decimal) -> Decimal:
    return default if rate is None else rate


@dataclass(frozen=True)
class Price:
    """The price of one model: the highest rates that can ever apply, and a function that returns the actual cost.

    `input` and `output` are in dollars per million tokens, `call` in dollars.
    """

    input: Decimal
    output: Decimal
    call: Decimal
    dollars: Callable[[RequestUsage], Decimal]

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Return the highest cost of a call with this many tokens, in nanodollars, rounded up."""
        return _nano(self.call + (self.input * input_tokens + self.output * output_tokens) / 1_000_000)

    def cost(self, usage: RequestUsage) -> int:
        """Return the cost of the reported tokens, in nanodollars, rounded up.

        Raises:
            ValueError: The report contradicts itself.
            ArithmeticError: The price cannot be calculated from the report.
        """
        return _nano(self.dollars(usage))


def price_of(model: str, configured: Rates | None = None) -> Price | None:
    """Return the price of `provider:model`: the configured one, else that of genai-prices; None if there is neither."""
    if configured is None:
        return _known_price(model)
    highest_input = max(configured.input, configured.cached_input or 0, configured.cache_write or 0)
    highest_output = max(configured.output, configured.reasoning or 0)
    return Price(Decimal(highest_input), Decimal(highest_output), Decimal(0), configured.cost)


@cache
def _known_price(model: str) -> Price | None:
    provider, _, name = model.partition(":")
    if provider == OFFLINE:
        return Price(_FREE, _FREE, _FREE, lambda _: _FREE)
    # The client library names one provider's APIs `x-chat` and `x-responses`.
    provider = provider.removesuffix("-chat").removesuffix("-responses")
    try:
        _, known = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    # Some prices depend on the time of day, or change on a known date.
    prices = [known.prices] if isinstance(known.prices, ModelPrice) else [each.prices for each in known.prices]
    if not prices or any(each.input_mtok is None for each in prices):
        return None  # some are paid by the minute
    if any(each.output_mtok is None for each in prices) and "embed" not in name:
        return None  # embedding models have no output tokens
    if "search" in name and any(getattr(each, "web_searches_kcount", None) for each in prices):
        return None  # it searches on its own, without an upper bound

    def dollars(usage: RequestUsage) -> Decimal:
        return known.get_prices(datetime.now(UTC)).calc_price(usage)["total_price"]

    rates = [(name, _highest(rate)) for price in prices for name, rate in vars(price).items()]
    return Price(
        input=max(rate for name, rate in rates if name.endswith("_mtok") and not name.startswith("output")),
        output=max(
            (rate for name, rate in rates if name.endswith("_mtok") and name.startswith("output")), default=_FREE
        ),
        call=max((rate for name, rate in rates if name == PER_CALL), default=_FREE) / 1000,
        dollars=dollars,
    )


def _highest(rate: Decimal | TieredPrices | None) -> Decimal:
    if isinstance(rate, TieredPrices):
        return max(rate.base, *(tier.price for tier in rate.tiers))
    return rate or Decimal(0)


def _nano(dollars: Decimal) -> int:
    return int((dollars * NANO).to_integral_value(ROUND_CEILING))
