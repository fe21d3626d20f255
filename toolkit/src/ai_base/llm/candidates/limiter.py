"""The limits of one candidate: requests per minute and at a time, a bounded queue, and the provider's rate limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ai_base.llm.errors import QueueFullError


class Slot:
    """A turn of one caller, and the seconds that it waited for it."""

    def __init__(self, limiter: "Limiter", waited: float) -> None:
        self.waited = waited
        self._limiter, self._taken, self._closed = limiter, False, False
        self.take_again()

    def give_back(self) -> None:
        """Let another caller run meanwhile."""
        if self._taken:
            self._taken = False
            self._limiter.count_running(-1)

    def take_again(self) -> None:
        """Count as running again, without waiting: what has begun must be able to end."""
        if not self._taken and not self._closed:
            self._taken = True
            self._limiter.count_running(1)

    def close(self) -> None:
        """End the turn."""
        self.give_back()
        self._closed = True


class Limiter:
    """A token bucket and a limit of concurrent requests, first come first served; for one process and event loop.

    `per_minute` requests may start at once, then the bucket refills evenly. `queue` is the number of callers that may
    wait. After `pause`, requests start one at a time; each success doubles how many may run, up to `concurrency`.
    """

    def __init__(self, candidate: str, per_minute: int | None, concurrency: int, queue: int) -> None:
        self.candidate, self.concurrency, self.queue = candidate, concurrency, queue
        self.waiting = 0
        self._interval = 60 / per_minute if per_minute else 0.0
        self._full_at = 0.0  # when the bucket will be full again, on the event loop's clock
        self._paused_until = 0.0
        self._allowed, self._running = concurrency, 0
        self._head = asyncio.Lock()  # held by the first in the queue, which alone watches the clock
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def slot(self, patience: float, longest_pause: float) -> AsyncIterator[Slot]:
        """Wait `patience` seconds at most for a turn, and for no pause that is longer than `longest_pause`.

        Raises:
            QueueFullError: Too many callers wait already, or the turn would come too late.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        if self.waiting or self._running >= self._allowed or self._delay(start) > 0:
            await self._wait(patience, longest_pause)
        self._full_at = max(self._full_at, loop.time()) + self._interval
        slot = Slot(self, loop.time() - start)
        try:
            yield slot
        finally:
            slot.close()

    def count_running(self, change: int) -> None:
        """Note that a request starts or ends."""
        self._running += change
        self._changed.set()

    def pause(self, seconds: float) -> None:
        """Start no request for so long, because the provider's rate limit was reached; then begin slowly."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)
        self._allowed = 1

    def speed_up(self) -> None:
        """Note a success."""
        if self._allowed < self.concurrency:
            self._allowed = min(self.concurrency, 2 * self._allowed)
            self._changed.set()

    def _delay(self, now: float) -> float:
        """Return the seconds until the next request may start."""
        bucket = self._full_at + self._interval - 60 if self._interval else 0.0
        return max(bucket, self._paused_until) - now

    async def _wait(self, patience: float, longest_pause: float) -> None:
        if self.waiting >= self.queue:
            reason = f"the queue is full: {self.waiting} callers wait"
            raise QueueFullError(self.candidate, reason, self.queue, self.waiting)
        self._refuse_a_late_turn(patience, longest_pause)
        self.waiting += 1
        try:
            async with asyncio.timeout(patience), self._head:
                await self._wait_at_head(patience, longest_pause)
        except TimeoutError:
            raise QueueFullError(self.candidate, f"no turn within {patience:.1f} s", patience, patience) from None
        finally:
            self.waiting -= 1

    def _refuse_a_late_turn(self, patience: float, longest_pause: float) -> None:
        """Refuse a caller at once if its turn would come too late."""
        now = asyncio.get_running_loop().time()
        turn = self._delay(now) + self.waiting * self._interval
        if turn > patience:
            reason = f"the rate limit allows a call in {turn:.1f} s; the longest wait is {patience:.1f} s"
            raise QueueFullError(self.candidate, reason, patience, turn)
        if (pause := self._paused_until - now) > longest_pause:
            reason = f"the provider's limit allows a call in {pause:.1f} s; the longest wait is {longest_pause:.1f} s"
            raise QueueFullError(self.candidate, reason, longest_pause, pause)

    async def _wait_at_head(self, patience: float, longest_pause: float) -> None:
        while True:
            self._changed.clear()
            self._refuse_a_late_turn(patience, longest_pause)
            if (delay := self._delay(asyncio.get_running_loop().time())) > 0:
                await asyncio.sleep(delay)
            elif self._running < self._allowed:
                return
            else:
                await self._changed.wait()
