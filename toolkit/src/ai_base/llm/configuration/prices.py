"""What a call costs at most, and what it did cost, in nanodollars."""

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
"""The provider that asks nobody and costs nothing."""


class Rates(BaseModel):
    """US dollars per million tokens, as configured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Dollars
    output: Dollars


@dataclass(frozen=True)
class Price:
    """The price of one model: the highest rates that can ever apply, and what tells those that apply now.

    `input` and `output` are in dollars per million tokens, `call` in dollars. Without `rates` there are no others.
    """

    input: Decimal
    output: Decimal
    call: Decimal = Decimal(0)
    rates: Callable[[], ModelPrice] | None = None

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Return the most that a call with this many tokens can cost, in nanodollars, rounded up."""
        return _nano(self.call + (self.input * input_tokens + self.output * output_tokens) / 1_000_000)

    def cost(self, usage: RequestUsage) -> int:
        """Return what the reported tokens cost, in nanodollars, rounded up; cached tokens at their own price."""
        if self.rates is None:
            return self.bound(usage.input_tokens, usage.output_tokens)
        return _nano(self.rates().calc_price(usage)["total_price"])


def price_of(model: str, configured: Rates | None = None) -> Price | None:
    """Return the price of `provider:model`: as configured, else as genai-prices knows it; None where nobody does."""
    return Price(configured.input, configured.output) if configured else _known_price(model)


@cache
def _known_price(model: str) -> Price | None:
    provider, _, name = model.partition(":")
    if provider == OFFLINE:
        return Price(Decimal(0), Decimal(0))
    # The client library names one provider's APIs `x-chat` and `x-responses`.
    provider = provider.removesuffix("-chat").removesuffix("-responses")
    try:
        _, known = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    # Some prices depend on the time of day, or change on a known date.
    ever = [known.prices] if isinstance(known.prices, ModelPrice) else [each.prices for each in known.prices]
    if not ever or any(each.input_mtok is None or each.output_mtok is None for each in ever):
        return None  # some are paid by the minute
    highest = dict.fromkeys(("input", "output", "call"), Decimal(0))
    for price in ever:
        for key, rate in vars(price).items():
            kind = "output" if key.startswith("output") else "input" if key.endswith("_mtok") else "call"
            highest[kind] = max(highest[kind], _highest(rate) / (1000 if kind == "call" else 1))
    return Price(**highest, rates=lambda: known.get_prices(datetime.now(UTC)))


def _highest(rate: Decimal | TieredPrices | None) -> Decimal:
    if isinstance(rate, TieredPrices):
        return max(rate.base, *(tier.price for tier in rate.tiers))
    return rate or Decimal(0)


def _nano(dollars: Decimal) -> int:
    return int((dollars * NANO).to_integral_value(ROUND_CEILING))
