"""Starts interactions, and records each with its outcome."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import structlog

from ai_base.llm.cancellation import shielded
from ai_base.llm.configuration.config import Config
from ai_base.llm.errors import LedgerError, LLMError, RefusedError
from ai_base.llm.gateway.cap_monitor import CapMonitor
from ai_base.llm.interaction import ActiveInteraction, Attribution, find_interaction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import log_fields
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

SHORTEST_WAIT = 0.1
"""Seconds that an interaction waits for its record even if its deadline has passed."""


class Interactions:
    """The interactions of one gateway, in the event loop in which it was opened."""

    def __init__(self, config: Callable[[], Config], ledger: Ledger, monitor: CapMonitor) -> None:
        self._config, self._ledger, self._monitor = config, ledger, monitor
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def start(
        self, name: str, *, deadline: float | None = None, **attribution: Unpack[Attribution]
    ) -> AsyncIterator[ActiveInteraction]:
        """Start an interaction and make it the current one; record it at the end.

        Raises:
            LLMError: The gateway belongs to another event loop.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise LLMError(
                "this gateway belongs to another event loop: open one in each thread, or use Gateway.open_blocking"
            )
        call = ActiveInteraction.start(self._config(), name, deadline, **attribution)
        call.on_reserved = self._monitor.observe
        start = time.perf_counter()
        try:
            call.cheaper_chain = await self._monitor.cheaper_chain(call)
            yield call
            call.row.status = "ok"
        except BaseException as error:
            call.row.status = "refused" if isinstance(error, RefusedError) and not call.row.cost else "failed"
            call.row.error = scrub(f"{type(error).__name__}: {error}")
            raise
        finally:
            call.end()
            call.row.latency_ms = round((time.perf_counter() - start) * 1000, 3)
            log.info("llm interaction", **log_fields(call.row))
            await self._record_in_time(call)

    @asynccontextmanager
    async def join(self) -> AsyncIterator[ActiveInteraction]:
        """Yield the current interaction; if there is none, start one, for an agent's run or a single request."""
        if (call := find_interaction()) is not None:
            yield call
        else:
            async with self.start("") as call:
                yield call

    async def _record_in_time(self, call: ActiveInteraction) -> None:
        """Record the interaction; after its deadline, in the background."""
        try:
            failure = await shielded(self._record(call), max(SHORTEST_WAIT, call.ends - time.monotonic()))
        except TimeoutError as error:
            log.warning("llm interaction recorded late", error=str(error), interaction=call.row.id)
            return
        if failure and call.row.status == "ok" and self._config().budgets.when_ledger_fails == "refuse":
            raise failure

    async def _record(self, call: ActiveInteraction) -> LedgerError | None:
        try:
            await self._ledger.record(call.row, call.answer)
        except LedgerError as error:
            log.error("llm interaction not recorded", error=str(error), interaction=call.row.id)  # noqa: TRY400
            return error
        return None
