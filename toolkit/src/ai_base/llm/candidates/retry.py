"""Retries of one candidate: exponential backoff with jitter, the provider's `Retry-After`, a maximum and a deadline."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from ai_base.llm.candidates.limiter import Limiter
from ai_base.llm.configuration.config import Retry
from ai_base.llm.errors import AttemptFailedError
from ai_base.llm.interaction import current_interaction

log = structlog.get_logger(__name__)


def backoff(settings: Retry, failures: int) -> float:
    """Return the wait after this many failures (from 1), in seconds: exponential, minus up to one half at random."""
    longest: float = min(settings.max_delay, settings.base_delay * 2 ** min(failures - 1, 60))
    return longest * random.uniform(0.5, 1)  # noqa: S311


async def retrying[R](limiter: Limiter, settings: Retry, once: Callable[[], Awaitable[R]]) -> R:
    """Run attempts at a candidate until one succeeds.

    After a transient failure it waits. After a rate limit the limiter pauses, which every caller waits for.

    Raises:
        AttemptFailedError: A retry cannot help, the attempts are used up, or the wait would be longer than `max_delay`
            or than the time until the deadline.
    """
    failures = 0
    while True:
        try:
            return await once()
        except AttemptFailedError as error:
            if error.kind not in ("transient", "rate_limited"):
                raise
            failures += 1
            delay = max(backoff(settings, failures), error.retry_after or 0)
            if error.kind == "rate_limited":
                limiter.pause(delay)
            if failures >= settings.attempts or delay > min(settings.max_delay, current_interaction().remaining()):
                raise
            log.info(
                "llm retry", candidate=limiter.candidate, attempt=failures, delay_s=round(delay, 3), error=str(error)
            )
            paused = error.kind == "rate_limited"
        if not paused:
            await asyncio.sleep(delay)
