"""The guard around one candidate: limiter, breaker, retry, and around every attempt reservation, settlement, record."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn, cast

import structlog
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from ..scrub import scrub
from .bounds import most_input_tokens, without_personal_data
from .breaker import Breaker
from .config import Candidate, Config
from .errors import AttemptFailedError, LedgerError, RejectedRequestError, UnpricedModelError
from .failures import is_free, kind_of
from .interaction import Running, caps, current
from .ledger import Ledger
from .limiter import Limiter
from .prices import Price
from .providers import limit_left, seen_headers
from .records import Attempt, new_id, now, told

type Request = tuple[list[ModelMessage], ModelSettings, ModelRequestParameters]

log = structlog.get_logger(__name__)

EXPIRY_MARGIN = 60.0  # seconds after an attempt must be over; then its reservation is charged in full


@dataclass(init=False, eq=False)
class Guard(WrapperModel):
    """One candidate under guard. It must run inside an interaction (see `interaction.running`)."""

    name: str
    candidate: Candidate
    price: Price
    ledger: Ledger = field(repr=False)
    config: Callable[[], Config] = field(repr=False)
    limiter: Limiter
    breaker: Breaker

    def __init__(  # noqa: PLR0913 - everything is passed in
        self,
        name: str,
        wrapped: Model,
        *,
        candidate: Candidate,
        price: Price,
        ledger: Ledger,
        config: Callable[[], Config],
    ) -> None:
        super().__init__(wrapped)
        self.name, self.candidate, self.price, self.ledger, self.config = name, candidate, price, ledger, config
        breaker = config().breaker
        self.limiter = Limiter(name, candidate.requests_per_minute, candidate.concurrency, candidate.queue)
        self.breaker = Breaker(name, breaker.failures, breaker.pause, breaker.misconfigured_pause)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the candidate.

        Raises:
            UnavailableError: It cannot answer now; the next candidate may.
            RefusedError: A limit of ours would be passed. The next candidate is not asked.
            RejectedRequestError: The provider refuses the request itself.
        """

        async def once() -> ModelResponse:
            async with self._attempt(messages, model_settings, model_request_parameters) as (attempt, sent):
                async with asyncio.timeout(min(self.candidate.timeout, current().remaining())):
                    response = await self.wrapped.request(*sent)
                self._take(attempt, response)
                return response

        return await self._retrying(once)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the candidate for a stream; once that has begun, a failure is the consumer's. Raises as `request`."""

        @asynccontextmanager
        async def once() -> AsyncIterator[StreamedResponse]:
            async with self._attempt(messages, model_settings, model_request_parameters) as (attempt, sent):
                async with self.wrapped.request_stream(*sent, run_context) as stream:
                    yield stream
                self._take(attempt, stream.get())

        async with AsyncExitStack() as stack:
            yield await self._retrying(lambda: stack.enter_async_context(once()))

    async def compact_messages(self, *_: object, **__: object) -> NoReturn:
        """Refuse: what it costs cannot be bounded."""
        raise UnpricedModelError(self.model_id, "compaction, or a batch, passes by the budget")

    batch_create = compact_messages

    async def _retrying[R](self, once: Callable[[], Awaitable[R]]) -> R:
        """Try as often as configured, with exponential backoff and jitter, as long as time can heal it."""
        for number in count(1):
            try:
                return await once()
            except AttemptFailedError as error:
                retry = self.config().retry
                backoff = min(retry.max_delay, retry.base_delay * 2 ** (number - 1)) * random.uniform(0.5, 1)  # noqa: S311
                delay = max(backoff, error.retry_after or 0)
                patience = min(retry.max_delay, current().remaining())
                if not error.transient or number >= retry.attempts or delay > patience:
                    raise
                log.info("llm retry", candidate=self.name, attempt=number, delay_s=round(delay, 3), error=str(error))
            await asyncio.sleep(delay)
        raise AssertionError

    @asynccontextmanager
    async def _attempt(
        self, messages: list[ModelMessage], model_settings: ModelSettings | None, params: ModelRequestParameters
    ) -> AsyncIterator[tuple[Attempt, Request]]:
        """Wait for a turn and reserve; afterwards settle, record, and tell the breaker. Yields what to send."""
        call = current()
        self.breaker.check()
        if not self.config().privacy.send_personal_data:
            messages, params = without_personal_data(messages, params)
        window = self.candidate.context_window or self.wrapped.context_window
        tokens = most_input_tokens(self.wrapped, messages, model_settings, params, window)
        limit = min(max(1, (model_settings or {}).get("max_tokens") or 10**9), self.candidate.max_output_tokens)
        timeout = min(self.candidate.timeout, call.remaining())
        async with self.limiter.slot(timeout) as waited:
            probe = self.breaker.admit()
            attempt = Attempt(new_id(), call.row.id, 0, self.name, now(), call.row.cost_center, call.row.prompt)
            attempt.model, attempt.queue_ms, attempt.breaker = (
                self.model_name,
                round(waited * 1000, 3),
                self.breaker.state,
            )
            try:
                reserved = await self._reserve(call, attempt, self.price.bound(tokens, limit), timeout + EXPIRY_MARGIN)
            except BaseException:
                self.breaker.released(probe=probe)
                raise
            settings: dict[str, object] = {"temperature": self.candidate.temperature, **(model_settings or {})}
            settings |= {"max_tokens": limit, "max_retries": 0, "timeout": timeout}
            headers: dict[str, str] = {}
            seen_headers.set(headers)
            start = time.perf_counter()
            try:
                set_ones = cast("ModelSettings", {k: v for k, v in settings.items() if v is not None})
                yield attempt, (messages, set_ones, params)
                self.breaker.succeeded()
            except BaseException as error:
                if (judged := self._judge(attempt, error, probe=probe)) is error:
                    raise
                raise judged from error
            finally:
                attempt.latency_ms = round((time.perf_counter() - start) * 1000, 3)
                attempt.limit_left = limit_left(headers)
                if window:
                    attempt.context_used = (attempt.input_tokens + attempt.output_tokens) / window
                call.settle(attempt.reserved, attempt.cost)
                call.row.cost += attempt.cost
                log.info("llm attempt", **told(attempt))
                await self._settle(attempt, reserved=reserved)

    async def _reserve(self, call: Running, attempt: Attempt, bound: int, expires_in: float) -> bool:
        """Hold the bound against every cap, or refuse; whether the ledger knows of it."""
        call.hold(bound)
        call.row.calls += 1
        attempt.number, attempt.reserved = call.row.calls, bound
        budgets = self.config().budgets
        try:
            scopes = caps(budgets, call.cost_center)
            await self.ledger.call(self.ledger.reserve, attempt, call.row, bound, scopes, expires_in)
        except BaseException as error:
            if isinstance(error, LedgerError) and budgets.when_ledger_fails == "spend":
                log.error("llm ledger lost, spending unrecorded", error=str(error))  # noqa: TRY400 - one line tells all
                return False
            if isinstance(error, asyncio.CancelledError):  # it may have been booked before that was noticed
                await self.ledger.call(self.ledger.settle, attempt)
            call.release(bound)
            call.row.calls -= 1
            raise
        return True

    async def _settle(self, attempt: Attempt, *, reserved: bool) -> None:
        if not reserved:
            return
        try:
            if not await self.ledger.call(self.ledger.settle, attempt):
                log.error("llm attempt outlived its reservation, which was charged in full", attempt=attempt.id)
        except LedgerError as error:
            # The reservation stays, and is charged in full when it expires: nothing is lost.
            log.error("llm settlement failed", error=str(error), attempt=attempt.id)  # noqa: TRY400
            if self.config().budgets.when_ledger_fails == "refuse":
                raise

    def _take(self, attempt: Attempt, response: ModelResponse) -> None:
        """Note what the provider reports; without a report, it may have charged the bound."""
        usage = response.usage
        attempt.status = "ok"
        attempt.model = response.model_name or attempt.model
        attempt.input_tokens, attempt.output_tokens = usage.input_tokens, usage.output_tokens
        if (
            response.state == "complete"
            and min(usage.input_tokens, usage.output_tokens) >= 0 < usage.total_tokens < 10**9
        ):
            attempt.cost, attempt.cost_basis = self.price.cost(usage), "reported"
            if attempt.cost > attempt.reserved:
                log.error("llm attempt cost more than its bound", attempt=attempt.id, model=attempt.model)
        else:
            attempt.cost, attempt.cost_basis = attempt.reserved, "assumed"
            attempt.status = "ok" if response.state == "complete" else "abandoned"

    def _judge(self, attempt: Attempt, error: BaseException, *, probe: bool) -> BaseException:
        """Note a failure, tell the breaker, and return what to raise in its place."""
        attempt.error = reason = f"{type(error).__name__}: {scrub(str(error))}"[:500]
        attempt.status = "abandoned" if isinstance(error, (asyncio.CancelledError, GeneratorExit)) else "failed"
        if not is_free(error):
            attempt.cost, attempt.cost_basis = attempt.reserved, "assumed"
        match kind_of(error):
            case "misconfigured":
                self.breaker.misconfigured()
                log.error("llm candidate taken out: mend its configuration", candidate=self.name, error=reason)
                return AttemptFailedError(self.name, reason, transient=False)
            case "rejected":
                self.breaker.succeeded()  # whoever refuses is there
                return RejectedRequestError(f"{self.name}: {reason}")
            case "transient":
                self.breaker.failed(probe=probe)
                retry_after = getattr(error, "retry_after", None)
                return AttemptFailedError(self.name, reason, transient=True, retry_after=retry_after)
            case _:
                self.breaker.released(probe=probe)
                return error
