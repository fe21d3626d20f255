"""Work that is completed although its caller is cancelled, in virtual time."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from virtual_time import run

from ai_base.llm.cancellation import GRACE, finish_background_work, shielded

FOREVER = 10_000.0


async def after(seconds: float, done: list[str]) -> str:
    await asyncio.sleep(seconds)
    done.append("done")
    return "result"


def test_a_patient_caller_gets_the_result() -> None:
    assert run(shielded(after(50, []))) == "result"


def test_an_impatient_caller_leaves_the_work_to_the_background() -> None:
    async def main() -> tuple[float, list[str]]:
        done: list[str] = []
        with pytest.raises(TimeoutError, match="longer than 5 s and continues in the background"):
            await shielded(after(50, done), 5)
        left_at = asyncio.get_running_loop().time()
        assert done == []
        await finish_background_work(FOREVER)
        return left_at, done

    assert run(main()) == (5, ["done"])


async def cancel_at_10(caller: Coroutine[Any, Any, object], done: list[str]) -> tuple[float, list[str]]:
    """Cancel the caller after 10 seconds; return when it ended, and what was done once the background had ended."""
    task = asyncio.create_task(caller)
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left_at = asyncio.get_running_loop().time()
    await finish_background_work(FOREVER)
    return left_at, done


@pytest.mark.parametrize(("takes", "left_at"), [(GRACE / 2, 10 + GRACE / 2), (50, 10 + GRACE)])
def test_a_cancelled_caller_waits_a_little(takes: float, left_at: float) -> None:
    done: list[str] = []

    assert run(cancel_at_10(shielded(after(10 + takes, done)), done)) == (left_at, ["done"])


@pytest.mark.parametrize(("takes", "left_at"), [(GRACE / 2, 10 + GRACE / 2), (50, 10 + GRACE)])
def test_what_a_cancelled_caller_does_in_its_finally_waits_a_little_too(takes: float, left_at: float) -> None:
    done: list[str] = []

    async def caller() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await shielded(after(takes, done), FOREVER)

    assert run(cancel_at_10(caller(), done)) == (left_at, ["done"])
