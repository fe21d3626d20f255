"""An event loop whose clock jumps to the next timer instead of waiting: no test depends on the machine's speed."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Does not wait: what it would wait is added to the loop's clock."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.waited += timeout
        return ready if timeout is not None or ready else super().select(None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Only for code that waits for timers and other tasks, not for sockets or threads."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.waited


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    return asyncio.run(work, loop_factory=VirtualLoop)
