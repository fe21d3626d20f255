"""Whatever goes wrong in a tool, the model gets an observation: without secrets, and cut to size."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from agent_cases import KEY, LONG, observed, returns


class Unspeakable(Exception):  # noqa: N818 - not an error of ours
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises() -> None:
    """Raise."""
    raise ValueError(f"bad key {KEY} of ada@example.com")


async def raises_later() -> None:
    """Raise."""
    raises()


def leaves() -> None:
    """End the process."""
    sys.exit("left")


async def leaves_later() -> None:
    """End the process."""
    sys.exit("left")


async def cancels_itself() -> None:
    """Be cancelled by something else."""
    raise asyncio.CancelledError("by a library")


def stops() -> None:
    """Raise what no future takes."""
    raise StopIteration("over")


class Outsider(BaseException):
    """As some libraries have them, which is no `Exception`."""


def closes() -> None:
    """Raise what ends a generator."""
    raise GeneratorExit("closed")


async def closes_later() -> None:
    """Raise what ends a generator."""
    closes()


async def raises_outsiders() -> None:
    """Raise a group of them."""
    raise BaseExceptionGroup("several", [Outsider(f"key {KEY}")])


def unspeakable() -> None:
    """Raise what cannot be shown."""
    raise Unspeakable


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raises, "ValueError: bad key"),
        (raises_later, "ValueError: bad key"),
        (leaves, "SystemExit: left"),
        (leaves_later, "SystemExit: left"),
        (cancels_itself, "CancelledError: by a library"),
        (stops, "StopIteration"),
        (closes, "GeneratorExit: closed"),
        (closes_later, "GeneratorExit: closed"),
        (raises_outsiders, "several"),
        (unspeakable, "Unspeakable"),
        (returns(object()), "Unable to serialize unknown type"),
        (returns(b"\xff\xfe"), "invalid utf-8"),
        (returns(CYCLE), "Circular reference"),
    ],
)
async def test_every_failure_is_an_observation_without_secrets(function: Callable[..., Any], reason: str) -> None:
    text, outcome = await observed(function)

    assert outcome == "failed"
    assert reason in text
    assert "sk-proj" not in text
    assert "ada@example.com" not in text


async def test_ctrl_c_is_no_failure_of_the_tool_at_work() -> None:
    def interrupted() -> None:
        """Be stopped by the user."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(asyncio.run, observed(interrupted))


async def test_a_coroutine_that_hangs_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert await observed(hang, seconds=0.01) == ("no result within 0.01 s", "failed")
    await asyncio.wait_for(cancelled.wait(), 60)


async def test_a_thread_that_hangs_keeps_neither_the_loop_nor_the_process() -> None:
    end, threads = threading.Event(), []

    def hang() -> None:
        """Hang."""
        threads.append(threading.current_thread())
        end.wait(60)

    seen = await observed(hang, seconds=0.01)
    end.set()

    assert seen == ("no result within 0.01 s", "failed")
    assert all(thread.daemon for thread in threads)


async def test_a_coroutine_that_ignores_its_cancellation_does_not_hold_the_run() -> None:
    end = asyncio.Event()

    async def stubborn() -> None:
        """Ignore it."""
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    assert (await observed(stubborn, seconds=0.01)).outcome == "failed"
    end.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize("function", [returns("x" * 10_000_000), returns(list(range(100_000)))])
async def test_a_huge_result_is_cut(function: Callable[..., Any]) -> None:
    text, outcome = await observed(function)

    assert outcome == "ok"
    assert len(text) == LONG
    assert text.endswith("[... cut: the rest was too long]")


async def test_a_huge_failure_is_cut_and_no_half_of_a_secret_stays() -> None:
    def fail() -> None:
        """Fail."""
        raise ValueError("x" * (LONG - 40) + f" {KEY} " + "y" * 10_000_000)

    text, _ = await observed(fail)

    assert len(text) == LONG
    assert "sk-proj" not in text


async def test_half_of_a_surrogate_pair_can_be_sent() -> None:
    text, _ = await observed(returns("\ud800 x"))

    assert text.encode()
    assert text.endswith(" x")
