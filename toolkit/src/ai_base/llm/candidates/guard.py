"""The guard around one candidate: limiter, breaker, retry, and around every attempt reservation, settlement, record."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, NoReturn, cast

import structlog
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from ai_base.llm.cancellation import shielded
from ai_base.llm.candidates.bounds import Messages, Params, Request, Settings, most_input_tokens, without_personal_data
from ai_base.llm.candidates.breaker import Breaker
from ai_base.llm.candidates.failures import is_free, kind_of
from ai_base.llm.candidates.limiter import Limiter
from ai_base.llm.candidates.providers import limit_left, seen_headers
from ai_base.llm.configuration.config import Candidate, Config
from ai_base.llm.configuration.prices import Price
from ai_base.llm.errors import (
    AttemptFailedError,
    DeadlineExceededError,
    LedgerError,
    RejectedRequestError,
    UnpricedModelError,
)
from ai_base.llm.interaction import ActiveInteraction, caps_for, current_interaction
from ai_base.llm.ledger.counters import scopes_of
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, log_fields, new_id, now, storable
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

STREAMING = "streaming"  # the status of an attempt whose stream is being read
MOST_TOKENS = 10**9  # more is no credible report
EXPIRY_MARGIN = 60.0  # seconds after an interaction's deadline; then a reservation is charged in full


def _never(_: Exception) -> bool:
    return False


@dataclass(eq=False)
class Guard(WrapperModel):
    """One candidate under guard. It must run inside an interaction (see `interaction.current_interaction`)."""

    wrapped: Model
    name: str
    candidate: Candidate
    price: Price
    ledger: Ledger
    config: Callable[[], Config]

    def __post_init__(self) -> None:
        super().__init__(self.wrapped)
        given = self.candidate
        self.limiter = Limiter(self.name, given.requests_per_minute, given.concurrency, given.queue)
        self.breaker = Breaker(self.name, self.config().breaker)

    async def request(self, messages: Messages, settings: Settings, params: Params) -> ModelResponse:
        """Ask the candidate.

        Raises:
            UnavailableError: It cannot answer now; the next candidate may.
            RefusedError: A limit of ours would be passed. The next candidate is not asked.
            RejectedRequestError: The provider refuses the request itself.
        """

        async def once() -> ModelResponse:
            async with self._attempt((messages, settings, params)) as (attempt, sent):
                async with asyncio.timeout(min(self.candidate.timeout, current_interaction().remaining())):
                    response = await self.wrapped.request(*sent)
                self._take(attempt, response)
                return response

        return await self._retrying(once)

    @asynccontextmanager
    async def request_stream(
        self, messages: Messages, settings: Settings, params: Params, run_context: RunContext[Any] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the candidate for a stream; once that has begun, a failure is the consumer's. Raises as `request`."""
        first = FallbackModel(self.wrapped, fallback_on=_never)  # it hands a stream over when something came of it

        @asynccontextmanager
        async def once() -> AsyncIterator[StreamedResponse]:
            async with self._attempt((messages, settings, params)) as (attempt, sent):
                patient = cast("ModelSettings", {**(sent[1] or {}), "first_event_timeout": self.candidate.timeout})
                async with first.request_stream(sent[0], patient, sent[2], run_context) as stream:
                    attempt.status = STREAMING
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
                patience = min(retry.max_delay, current_interaction().remaining())
                if not error.transient or number >= retry.attempts or delay > patience:
                    raise
                log.info("llm retry", candidate=self.name, attempt=number, delay_s=round(delay, 3), error=str(error))
            await asyncio.sleep(delay)
        raise AssertionError

    @asynccontextmanager
    async def _attempt(self, request: Request) -> AsyncIterator[tuple[Attempt, Request]]:
        """Wait for a turn and reserve; afterwards settle and record. Yields what to send."""
        call = current_interaction()
        self.breaker.check()
        if not self.config().privacy.send_personal_data:
            request = without_personal_data(request)
        messages, settings, params = request
        window = self.candidate.context_window or self.wrapped.context_window
        limit = min(max(1, (settings or {}).get("max_tokens") or 10**9), self.candidate.max_output_tokens)
        bound = self.price.bound(most_input_tokens(self.wrapped, request, window), limit)
        timeout = min(self.candidate.timeout, call.remaining())
        ours = {"max_tokens": limit, "max_retries": 0, "timeout": timeout}
        wanted = {"temperature": self.candidate.temperature, **(settings or {}), **ours}
        sent = cast("ModelSettings", {key: value for key, value in wanted.items() if value is not None})
        async with self.limiter.slot(timeout) as waited:
            attempt = Attempt(new_id(), call.row.id, 0, self.name, now(), call.row.cost_center, call.row.prompt)
            attempt.model, attempt.queue_ms, attempt.reserved = self.model_name, round(waited * 1000, 3), bound
            attempt.breaker, attempt.user = self.breaker.state, call.row.user
            with self.breaker.watch():
                reserved = await self._reserve(call, attempt)
                headers: dict[str, str] = {}
                seen_headers.set(headers)
                start = time.perf_counter()
                try:
                    yield attempt, (messages, sent, params)
                except BaseException as error:
                    if (judged := self._judge(attempt, error)) is error:
                        raise
                    raise judged from error
                finally:
                    attempt.latency_ms = round((time.perf_counter() - start) * 1000, 3)
                    attempt.limit_left = limit_left(headers)
                    attempt.context_used = (attempt.input_tokens + attempt.output_tokens) / window if window else None
                    call.budget.settle(bound, attempt.cost)
                    call.row.cost += attempt.cost
                    log.info("llm attempt", **log_fields(attempt))
                    if reserved:
                        await shielded(self._settle(attempt))

    async def _reserve(self, call: ActiveInteraction, attempt: Attempt) -> bool:
        """Hold the bound against every cap, or refuse; whether the ledger knows of it."""
        budgets = self.config().budgets
        call.budget.hold(attempt.reserved)
        call.row.calls += 1
        attempt.number = call.row.calls
        try:
            scopes = scopes_of(attempt.started_at, attempt.cost_center, attempt.user)
            limits = caps_for(budgets, scopes, call.cost_center, call.user)
            async with asyncio.timeout(call.remaining()):
                expires_in = call.remaining() + EXPIRY_MARGIN
                usages = await self.ledger.reserve(attempt, call.row, limits, expires_in, enforce=budgets.enforce)
            call.on_reserved(usages)
        except BaseException as error:
            if isinstance(error, LedgerError) and budgets.when_ledger_fails == "spend":
                log.error("llm ledger lost, spending unrecorded", error=str(error))  # noqa: TRY400 - one line tells all
                return False
            call.budget.settle(attempt.reserved, 0, made=False)
            call.row.calls -= 1
            if isinstance(error, asyncio.CancelledError):  # it may have been booked before that was noticed
                attempt.status = "abandoned"
                await shielded(self._settle(attempt, booked=False))
            if isinstance(error, TimeoutError):
                raise DeadlineExceededError(call.deadline) from error
            raise
        return True

    async def _settle(self, attempt: Attempt, *, booked: bool = True) -> None:
        try:
            if not await self.ledger.settle(attempt) and booked:
                log.error("llm attempt outlived its reservation, which was charged in full", attempt=attempt.id)
        except LedgerError as error:
            # The reservation stays, and is charged in full when it expires: nothing is lost.
            log.error("llm settlement failed", error=str(error), attempt=attempt.id)  # noqa: TRY400
            if self.config().budgets.when_ledger_fails == "refuse" and attempt.status == "ok":
                raise

    def _take(self, attempt: Attempt, response: ModelResponse) -> None:
        """Note what the provider reports; without a credible report, it may have charged the bound."""
        usage = response.usage
        attempt.model = str(storable(response.model_name or attempt.model))
        attempt.status = "ok" if response.state == "complete" else "abandoned"
        attempt.cost, attempt.cost_basis = attempt.reserved, "assumed"
        if min(usage.input_tokens, usage.output_tokens) < 0 or not 0 < usage.total_tokens < MOST_TOKENS:
            return
        attempt.input_tokens, attempt.output_tokens = usage.input_tokens, usage.output_tokens
        if response.state == "complete":
            with suppress(ValueError, ArithmeticError):  # such as more tokens from the cache than there are
                attempt.cost, attempt.cost_basis = self.price.cost(usage), "reported"
            if attempt.cost > attempt.reserved:
                log.error("llm attempt cost more than its bound", attempt=attempt.id, model=attempt.model)

    def _judge(self, attempt: Attempt, error: BaseException) -> BaseException:
        """Note a failure, and return what to raise in its place."""
        attempt.error = reason = f"{type(error).__name__}: {scrub(str(error))}"[:500]
        streaming = attempt.status == STREAMING
        kind = kind_of(error, streaming=streaming)
        attempt.status = "abandoned" if kind == "other" else "failed"
        if not is_free(error, streaming=streaming):
            attempt.cost, attempt.cost_basis = attempt.reserved, "assumed"
        match kind:
            case "misconfigured":
                log.error("llm candidate taken out: mend its configuration", candidate=self.name, error=reason)
                return AttemptFailedError(self.name, reason, transient=False)
            case "rejected":
                return RejectedRequestError(f"{self.name}: {reason}")
            case "transient":
                retry_after = getattr(error, "retry_after", None)
                return AttemptFailedError(self.name, reason, transient=True, retry_after=retry_after)
        return error
