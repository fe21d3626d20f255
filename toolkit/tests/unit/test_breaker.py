"""The breaker opens after a few failures, lets one probe through at a time, and knows a misconfigured candidate."""

from contextlib import ExitStack, suppress

import pytest

from ai_base.llm.candidates.breaker import Breaker
from ai_base.llm.configuration.config import Breaker as Settings
from ai_base.llm.errors import (
    AttemptFailedError,
    CircuitOpenError,
    FailureKind,
    RejectedRequestError,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("main", Settings(failures=3, pause=30, misconfigured_pause=3600), clock=clock)


def end(breaker: Breaker, error: BaseException | None = None) -> None:
    """A call that ends in this error, or well."""
    with suppress(BaseException), breaker.watch():
        if error:
            raise error


def fail(breaker: Breaker, times: int, kind: FailureKind = "transient") -> None:
    for _ in range(times):
        end(breaker, AttemptFailedError("main", "it failed", kind=kind))


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    end(breaker)
    fail(breaker, 2)
    assert breaker.state == "closed"

    fail(breaker, 1)

    assert breaker.state == "open"
    with pytest.raises(CircuitOpenError, match=r"main: circuit open, next probe in 30\.0 s"), breaker.watch():
        pytest.fail("it was let through")


def test_one_probe_at_a_time_is_let_through(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    assert breaker.state == "half-open"

    with breaker.watch():
        for _ in range(10):
            with pytest.raises(CircuitOpenError), breaker.watch():
                pytest.fail("it was let through")


def test_a_probe_that_fails_opens_it_for_another_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    fail(breaker, 1)

    clock.now += 29
    assert breaker.state == "open"
    clock.now += 1
    assert breaker.state == "half-open"


@pytest.mark.parametrize(
    "error",
    [
        None,
        RejectedRequestError("it is there, and refuses"),
        AttemptFailedError("main", "too long", kind="unsuitable"),
        AttemptFailedError("main", "slow down", kind="rate_limited"),
    ],
)
def test_a_probe_that_is_answered_closes_it(breaker: Breaker, clock: Clock, error: Exception | None) -> None:
    fail(breaker, 3)
    clock.now += 30
    end(breaker, error)

    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_a_probe_without_an_outcome_makes_room_for_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 30
    end(breaker, KeyboardInterrupt())

    assert breaker.state == "half-open"
    end(breaker)
    assert breaker.state == "closed"


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_the_pause(breaker: Breaker, clock: Clock) -> None:
    with suppress(AttemptFailedError), ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(suppress(AttemptFailedError))
            stack.enter_context(breaker.watch())
            stack.callback(lambda: setattr(clock, "now", clock.now + 1))
            stack.push(lambda *_: _raise(AttemptFailedError("main", "it failed")))

    clock.now = 1000 + 3 + 30
    assert breaker.state == "half-open"


def _raise(error: Exception) -> None:
    raise error


def test_a_misconfigured_candidate_is_skipped_for_long(breaker: Breaker, clock: Clock) -> None:
    breaker.suspect("one request", "no such model")
    breaker.suspect("another request", "no such model")

    clock.now += 3599
    assert breaker.state == "misconfigured"
    with pytest.raises(CircuitOpenError, match=r"circuit misconfigured \(no such model\)"), breaker.watch():
        pytest.fail("it was let through")
    clock.now += 1
    end(breaker)
    assert breaker.state == "closed"


def test_only_a_misconfigured_candidate_tells_that_cause(breaker: Breaker, clock: Clock) -> None:
    breaker.take_out("no such model")
    clock.now += 3600
    fail(breaker, 1)

    with pytest.raises(CircuitOpenError, match=r"main: circuit open, next probe"), breaker.watch():
        pytest.fail("it was let through")


def test_one_request_alone_takes_no_candidate_out(breaker: Breaker) -> None:
    assert [breaker.suspect("the same request", "why") for _ in range(5)] == [False] * 5
    assert breaker.state == "closed"


def test_a_success_between_two_requests_clears_the_suspicion(breaker: Breaker) -> None:
    breaker.suspect("one request", "why")
    end(breaker)

    assert not breaker.suspect("another request", "why")


def test_a_probe_of_a_misconfigured_candidate_takes_it_out_again(breaker: Breaker, clock: Clock) -> None:
    breaker.take_out("why")
    clock.now += 3600
    assert breaker.state == "half-open"

    assert breaker.suspect("the probe", "why")
    assert breaker.state == "misconfigured"


@pytest.mark.parametrize("kind", ["rate_limited", "unsuitable", "misconfigured"])
def test_only_transient_failures_open_it(breaker: Breaker, kind: FailureKind) -> None:
    fail(breaker, 100, kind)

    assert breaker.state == "closed"
