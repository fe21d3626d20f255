"""A candidate's limits hold, its queue is bounded, and who waits in vain is told at once."""

import asyncio
import time

import pytest

from ai_base.llm.candidates.limiter import Limiter
from ai_base.llm.errors import QueueFullError


async def use(limiter: Limiter, seconds: float, patience: float = 5) -> float:
    async with limiter.slot(patience) as waited:
        await asyncio.sleep(seconds)
        return waited


def test_no_more_run_at_a_time_than_allowed() -> None:
    running, most = 0, 0

    async def one(limiter: Limiter) -> None:
        nonlocal running, most
        async with limiter.slot(5):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

    async def main() -> None:
        limiter = Limiter("main", None, concurrency=3, queue=100)
        await asyncio.gather(*(one(limiter) for _ in range(20)))

    asyncio.run(main())
    assert most == 3


def test_a_full_queue_refuses() -> None:
    async def main() -> list[float | BaseException]:
        limiter = Limiter("main", None, concurrency=1, queue=2)
        return await asyncio.gather(*(use(limiter, 0.01) for _ in range(5)), return_exceptions=True)

    outcomes = asyncio.run(main())

    assert [type(outcome) for outcome in outcomes] == [float] * 3 + [QueueFullError] * 2
    assert str(outcomes[4]) == "main: callers wait already (2.0 of 2.0)"


def test_no_one_waits_longer_than_the_deadline() -> None:
    async def main() -> None:
        limiter = Limiter("main", None, concurrency=1, queue=9)
        holder = asyncio.create_task(use(limiter, 0.3))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="seconds without a turn"):
            await use(limiter, 0, patience=0.05)
        await holder

    asyncio.run(main())


def test_requests_per_minute_are_paced_once_the_burst_is_used_up() -> None:
    async def main() -> float:
        limiter = Limiter("main", per_minute=60, concurrency=2000, queue=2000)
        await asyncio.gather(*(use(limiter, 0, patience=0.1) for _ in range(60)))  # who had to wait would be refused
        return await use(limiter, 0)

    assert asyncio.run(main()) > 0.5


def test_a_turn_that_comes_too_late_is_refused_at_once() -> None:
    async def main() -> float:
        limiter = Limiter("main", per_minute=1, concurrency=5, queue=5)
        await use(limiter, 0)
        start = time.monotonic()
        with pytest.raises(QueueFullError, match="rate limit"):
            await use(limiter, 0, patience=30)
        return time.monotonic() - start

    assert asyncio.run(main()) < 1


def test_a_caller_that_gives_up_leaves_the_queue() -> None:
    async def main() -> int:
        limiter = Limiter("main", None, concurrency=1, queue=1)
        holder = asyncio.create_task(use(limiter, 0.05))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(use(limiter, 0))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        waiting = limiter.waiting
        await holder
        await use(limiter, 0, patience=0.1)  # refused if anybody were before it
        return waiting

    assert asyncio.run(main()) == 0


def test_a_caller_that_gives_up_gives_its_token_back() -> None:
    async def main() -> None:
        limiter = Limiter("main", per_minute=2, concurrency=1, queue=5)
        holder = asyncio.create_task(use(limiter, 0.05))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(use(limiter, 0))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(holder, waiter, return_exceptions=True)
        await use(limiter, 0, patience=1)  # without that token it would be refused, 30 s too early

    asyncio.run(main())
