"""A candidate's own limits: requests per minute and at a time, and a bounded queue in front of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ai_base.llm.errors import QueueFullError


class Limiter:
    """A token bucket and a semaphore, first come first served; for one process.

    `per_minute` may be used up at once and then refills evenly. `queue` is the number of callers that may wait.
    """

    def __init__(self, candidate: str, per_minute: int | None, concurrency: int, queue: int) -> None:
        self.candidate, self.queue, self.waiting = candidate, queue, 0
        self._interval = 60 / per_minute if per_minute else 0.0
        self._running = asyncio.Semaphore(concurrency)
        self._full_at = 0.0  # when the bucket will be full again, on the monotonic clock

    @asynccontextmanager
    async def slot(self, patience: float) -> AsyncIterator[float]:
        """Wait at most `patience` seconds for a turn; yields the seconds waited.

        Raises:
            QueueFullError: Too many wait already, or the turn would come too late.
        """
        start = time.monotonic()
        delay = max(0, self._full_at + self._interval - 60 - start) if self._interval else 0
        if (delay or self._running.locked()) and self.waiting >= self.queue:
            raise QueueFullError(self.candidate, "callers wait already", self.queue, self.waiting)
        if delay > patience:  # known at once, so what is hopeless does not wait
            raise QueueFullError(self.candidate, "seconds until the rate limit allows a call", patience, delay)
        self._full_at = max(self._full_at, start) + self._interval
        self.waiting += 1
        try:
            async with asyncio.timeout(patience):
                if delay:
                    await asyncio.sleep(delay)
                await self._running.acquire()
        except BaseException as error:
            self._full_at -= self._interval  # its token is somebody else's now
            if isinstance(error, TimeoutError):
                raise QueueFullError(self.candidate, "seconds without a turn", patience, patience) from None
            raise
        finally:
            self.waiting -= 1
        try:
            yield time.monotonic() - start
        finally:
            self._running.release()
