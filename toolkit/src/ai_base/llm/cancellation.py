"""Work that must be completed although its caller is cancelled, such as the settlement of a paid call."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

GRACE = 0.25
"""Seconds that a cancelled caller still waits for its work."""

_tasks: set[asyncio.Task[Any]] = set()  # the event loop itself holds only weak references


async def shielded[R](job: Coroutine[Any, Any, R], patience: float | None = None) -> R:
    """Run a coroutine to completion even if the caller is cancelled, then re-raise the cancellation.

    The caller waits for `patience` seconds at most (None: as long as it takes). A caller that is cancelled, or that
    calls this while it handles its cancellation, waits for `GRACE` seconds at most. After that the coroutine continues
    in the background; `finish_background_work` waits for it.

    Raises:
        TimeoutError: The patience was exhausted.
    """
    task = asyncio.Task(job, loop=asyncio.get_running_loop(), eager_start=True)
    if task.done():
        return task.result()
    _tasks.add(task)
    task.add_done_callback(_forget)
    cancellation = sys.exception()  # of a `finally` that calls this
    if isinstance(cancellation, asyncio.CancelledError):
        await _wait_once_more(task)
        if not task.done():
            raise cancellation
        return task.result()
    try:
        await asyncio.wait([task], timeout=patience)
    except asyncio.CancelledError:
        await _wait_once_more(task)
        raise
    if not task.done():
        raise TimeoutError(f"the work took longer than {patience:.3g} s and continues in the background")
    return task.result()


async def finish_background_work(patience: float) -> None:
    """Wait until what this event loop runs in the background has ended, `patience` seconds at most."""
    loop = asyncio.get_running_loop()
    if running := [task for task in _tasks if task.get_loop() is loop]:
        await asyncio.wait(running, timeout=patience)


async def _wait_once_more(task: asyncio.Task[Any]) -> None:
    try:
        await asyncio.wait([task], timeout=GRACE)
    except asyncio.CancelledError:
        return  # cancelled twice: the caller re-raises the first cancellation


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as retrieved; the job has logged what it could not do
