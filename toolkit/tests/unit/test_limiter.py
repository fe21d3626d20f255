"""A candidate's limits hold, its queue is bounded, and its rate limit paces every caller. All in virtual time."""

import asyncio

import pytest
from virtual_time import run

from ai_base.llm.candidates.limiter import Limiter
from ai_base.llm.errors import QueueFullError

LONG = 1e6


async def use(limiter: Limiter, seconds: float, patience: float = LONG, longest_pause: float = LONG) -> float:
    """Hold a slot for so many seconds; return the seconds that were waited for it."""
    async with limiter.slot(patience, longest_pause) as slot:
        await asyncio.sleep(seconds)
        return slot.waited


async def many(limiter: Limiter, count: int, seconds: float) -> list[float | BaseException]:
    return await asyncio.gather(*(use(limiter, seconds) for _ in range(count)), return_exceptions=True)


def test_no_more_run_at_a_time_than_allowed() -> None:
    async def main() -> list[float | BaseException]:
        return await many(Limiter("main", None, concurrency=3, queue=100), 9, 10)

    assert run(main()) == [0, 0, 0, 10, 10, 10, 20, 20, 20]


def test_a_full_queue_refuses() -> None:
    async def main() -> list[float | BaseException]:
        return await many(Limiter("main", None, concurrency=1, queue=2), 5, 10)

    outcomes = run(main())

    assert outcomes[:3] == [0, 10, 20]
    assert [type(outcome) for outcome in outcomes[3:]] == [QueueFullError] * 2
    assert str(outcomes[4]) == "main: the queue is full: 2 callers wait"


def test_no_one_waits_longer_than_the_deadline() -> None:
    async def main() -> float:
        limiter = Limiter("main", None, concurrency=1, queue=9)
        holder = asyncio.create_task(use(limiter, 1000))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="no turn within"):
            await use(limiter, 0, patience=60)
        at = asyncio.get_running_loop().time()
        holder.cancel()
        return at

    assert run(main()) == 60


def test_requests_per_minute_are_paced_once_the_burst_is_used_up() -> None:
    async def main() -> list[float | BaseException]:
        return await many(Limiter("main", per_minute=60, concurrency=2000, queue=2000), 64, 0)

    waits = run(main())

    assert waits[:60] == [0] * 60
    assert waits[60:] == pytest.approx([1, 2, 3, 4])


def test_a_turn_that_comes_too_late_is_refused_at_once() -> None:
    async def main() -> float:
        limiter = Limiter("main", per_minute=1, concurrency=5, queue=5)
        await use(limiter, 0)
        with pytest.raises(QueueFullError, match="rate limit"):
            await use(limiter, 0, patience=30)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_the_queue_before_a_turn_counts() -> None:
    """Two minutes' requests wait already, so the next turn would come after the third."""

    async def main() -> None:
        limiter = Limiter("main", per_minute=1, concurrency=5, queue=5)
        waiters = [asyncio.create_task(use(limiter, 0)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match=r"rate limit allows a call in 180.0 s; the longest wait is 170.0 s"):
            await use(limiter, 0, patience=170)
        for waiter in waiters:
            waiter.cancel()

    run(main())


def test_a_caller_that_gives_up_leaves_the_queue_and_uses_up_no_turn() -> None:
    async def main() -> tuple[int, float]:
        limiter = Limiter("main", per_minute=2, concurrency=1, queue=1)
        holder = asyncio.create_task(use(limiter, 5))
        await asyncio.sleep(0)
        waiter = asyncio.create_task(use(limiter, 0))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        waiting = limiter.waiting
        await holder
        return waiting, await use(limiter, 0)  # a turn that was used up would cost it 30 s

    assert run(main()) == (0, 0)


def test_a_pause_holds_up_every_caller() -> None:
    async def main() -> list[float | BaseException]:
        limiter = Limiter("main", None, concurrency=20, queue=100)
        limiter.pause(7)
        return await many(limiter, 3, 0)

    assert run(main()) == [7, 7, 7]


def test_after_a_pause_requests_start_slowly_and_successes_speed_them_up() -> None:
    async def main() -> list[float]:
        limiter = Limiter("main", None, concurrency=4, queue=100)
        limiter.pause(5)

        async def succeed() -> float:
            async with limiter.slot(LONG, LONG) as slot:
                await asyncio.sleep(10)
            limiter.speed_up()
            return slot.waited

        return await asyncio.gather(*(succeed() for _ in range(9)))

    # 1 at a time, then 2, then 4 as two more succeed, and never more than 4
    assert run(main()) == [5, 15, 15, 25, 25, 25, 25, 35, 35]


def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    async def main() -> float:
        limiter = Limiter("main", None, concurrency=1, queue=5)
        holder = asyncio.create_task(use(limiter, 50))
        await asyncio.sleep(0)
        early = asyncio.create_task(use(limiter, 0, longest_pause=20))  # waits before the pause begins
        await asyncio.sleep(1)
        limiter.pause(300)
        with pytest.raises(QueueFullError, match="provider's limit"):
            await use(limiter, 0, longest_pause=20)
        await holder
        with pytest.raises(QueueFullError, match="provider's limit"):
            await early
        return asyncio.get_running_loop().time()

    assert run(main()) == 50


def test_a_slot_that_is_given_back_lets_another_caller_run() -> None:
    async def main() -> list[float | BaseException]:
        limiter = Limiter("main", None, concurrency=1, queue=5)
        async with limiter.slot(LONG, LONG) as slot:
            slot.give_back()
            while_away = await use(limiter, 1)
            slot.take_again()
            waiter = asyncio.create_task(use(limiter, 0))
            await asyncio.sleep(3)
        slot.take_again()  # of no effect: the turn has ended
        return [while_away, await waiter, await use(limiter, 0)]

    assert run(main()) == [0, 3, 0]
