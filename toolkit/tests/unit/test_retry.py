"""Retries wait, longer each time, and end: by the attempts, the maximum wait or the deadline. All in virtual time."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from virtual_time import run

from ai_base.llm.candidates import retry
from ai_base.llm.candidates.limiter import Limiter
from ai_base.llm.configuration.config import Retry
from ai_base.llm.errors import AttemptFailedError, FailureKind, RejectedRequestError

SETTINGS = Retry(attempts=8, base_delay=1, max_delay=10, deadline=60)


class Call:
    """An interaction with so many seconds left."""

    left = 1000.0

    def remaining(self) -> float:
        return self.left


@pytest.fixture(autouse=True)
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    call = Call()
    monkeypatch.setattr(retry, "current_interaction", lambda: call)
    return call


def failure(kind: FailureKind = "transient", retry_after: float | None = None) -> AttemptFailedError:
    return AttemptFailedError("main", "it failed", kind=kind, retry_after=retry_after)


def attempts(*failures: Exception, settings: Retry = SETTINGS) -> list[float]:
    """Let attempts fail with these errors, then succeed; return the times at which they were made."""
    times: list[float] = []
    left = list(failures)

    async def main() -> None:
        limiter = Limiter("main", None, concurrency=5, queue=5)

        async def once() -> str:
            async with limiter.slot(1000, 1000):
                times.append(asyncio.get_running_loop().time())
                if left:
                    raise left.pop(0)
                return "answer"

        assert await retry.retrying(limiter, settings, once) == "answer"

    run(main())
    return times


def waits(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def test_waits_grow_exponentially_with_jitter_up_to_the_maximum() -> None:
    rounds = [waits(attempts(*[failure()] * 7)) for _ in range(20)]

    for longest, seen in zip([1, 2, 4, 8, 10, 10, 10], zip(*rounds, strict=True), strict=True):
        assert all(longest / 2 <= wait <= longest for wait in seen)
        assert len(set(seen)) > 10  # chance spreads callers that failed together


def test_attempts_end() -> None:
    with pytest.raises(AttemptFailedError):
        attempts(*[failure()] * 8)
    assert len(attempts(*[failure()] * 7)) == 8


def test_retry_after_is_obeyed() -> None:
    assert waits(attempts(failure(retry_after=7.5))) == [7.5]


@pytest.mark.parametrize("wanted", [11, 1e9])
def test_a_retry_that_would_come_too_late_is_left_out(wanted: float) -> None:
    with pytest.raises(AttemptFailedError):
        attempts(failure(retry_after=wanted))


def test_no_retry_waits_beyond_the_deadline(call: Call) -> None:
    call.left = 0.1

    with pytest.raises(AttemptFailedError):
        attempts(failure())


@pytest.mark.parametrize("error", [failure("unsuitable"), failure("misconfigured"), RejectedRequestError("no")])
def test_what_a_retry_cannot_help_is_raised_at_once(error: Any) -> None:
    with pytest.raises(type(error)):
        attempts(error)


def test_a_rate_limit_pauses_every_caller_of_the_candidate() -> None:
    """Twenty callers and one 429 with `Retry-After: 5`: nobody asks before, and nobody fails."""
    starts: list[float] = []

    async def main() -> None:
        limiter = Limiter("main", None, concurrency=1, queue=50)

        async def once() -> None:
            async with limiter.slot(1000, 1000):
                starts.append(asyncio.get_running_loop().time())
                if len(starts) == 1:
                    raise failure("rate_limited", retry_after=5)

        await asyncio.gather(*(retry.retrying(limiter, SETTINGS, once) for _ in range(20)))

    run(main())

    assert starts == [0, *[5] * 20]
