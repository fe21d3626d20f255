"""A candidate's own limits: requests per minute and at a time, and a bounded queue in front of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .errors import QueueFullError


@dataclass
class Limiter:
    """A token bucket and a semaphore, first come first served; for one process.

    `per_minute` may be used up at once and then refills evenly. `queue` is the number of callers that may wait.
    """

    candidate: str
    per_minute: int | None
    concurrency: int
    queue: int
    waiting: int = 0
    _running: asyncio.Semaphore = field(init=False)
    _full_at: float = 0.0
    """When the bucket will be full again, on the monotonic clock."""

    def __post_init__(self) -> None:
        self._running = asyncio.Semaphore(self.concurrency)

    @asynccontextmanager
    async def slot(self, patience: float) -> AsyncIterator[float]:
        """Wait at most `patience` seconds for a turn; yields the seconds waited.

        Raises:
            QueueFullError: Too many wait already, or the turn would come too late.
        """
        start = time.monotonic()
        delay = self._delay(start)
        if (delay > 0 or self._running.locked()) and self.waiting >= self.queue:
            raise QueueFullError(self.candidate, "callers wait already", self.queue, self.waiting)
        if delay > patience:  # known at once, so what is hopeless does not wait
            raise QueueFullError(
                self.candidate, "the rate limit allows the next call only in so many s", patience, delay
            )
        if self.per_minute:
            self._full_at = max(self._full_at, start) + 60 / self.per_minute
        self.waiting += 1
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + patience):
                if delay:
                    await asyncio.sleep(delay)
                await self._running.acquire()
        except TimeoutError:
            raise QueueFullError(self.candidate, "no turn within so many s", patience, patience) from None
        finally:
            self.waiting -= 1
        try:
            yield time.monotonic() - start
        finally:
            self._running.release()

    def _delay(self, now: float) -> float:
        """Seconds until the bucket has a token for one more caller."""
        return max(0, self._full_at + 60 / self.per_minute - 60 - now) if self.per_minute else 0
