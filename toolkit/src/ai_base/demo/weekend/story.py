"""What happened that weekend, in numbers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ai_base.testing.loopback import LoopbackProvider, Reply

FRIDAY = datetime(2026, 11, 20, 21, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
MIDNIGHTS = [datetime(2026, 11, day, tzinfo=UTC) for day in (21, 22, 23)]
DAYS = 4
"""Calendar days that the weekend touches. A cap per day counts for each of them."""

INPUT_TOKENS, OUTPUT_TOKENS = 8_000, 100
STANDS_FOR = 300
"""Requests of that weekend that one request of the demonstration stands for, and is billed for."""
INPUT_RATE, OUTPUT_RATE = Decimal(30) * STANDS_FOR, Decimal(60) * STANDS_FOR
"""US dollars per million tokens: the price of GPT-4, times `STANDS_FOR`."""
BILLED = (INPUT_RATE * INPUT_TOKENS + OUTPUT_RATE * OUTPUT_TOKENS) / 1_000_000
"""US dollars for one request of the demonstration."""
STEP = timedelta(seconds=0.738) * STANDS_FOR
"""Simulated time between two requests. At 0.738 s for each real one, 60 hours of 8,000 tokens come to $72,000."""

CAP = Decimal(100)
"""US dollars per day, for the cost centre that the bug is in."""

CONTEXT = "log " * (INPUT_TOKENS // 4)
"""As many bytes as it is billed tokens, because the gateway reserves a token for each byte."""

BROKEN = '{"category": "bug", "urgency": '
"""Every answer of the provider."""


def provider() -> LoopbackProvider:
    """Make a provider that answers every request with broken JSON, and bills it."""
    return LoopbackProvider(Reply(text=BROKEN, input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS))
