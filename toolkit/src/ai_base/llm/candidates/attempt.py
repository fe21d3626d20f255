"""One attempt at a candidate: its cost is reserved before it is sent, then it is settled and recorded."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

import structlog
from pydantic_ai.messages import ModelResponse

from ai_base.llm.cancellation import GRACE, shielded
from ai_base.llm.candidates.bounds import Messages, text_parts
from ai_base.llm.candidates.breaker import Breaker
from ai_base.llm.candidates.failures import kind_of, may_be_charged
from ai_base.llm.candidates.limiter import Limiter, Slot
from ai_base.llm.candidates.providers import limit_left
from ai_base.llm.candidates.transport import Exchange, current_exchange
from ai_base.llm.candidates.usage import read_usage
from ai_base.llm.configuration.config import Budgets, Candidate, Config
from ai_base.llm.configuration.prices import Price
from ai_base.llm.errors import AttemptFailedError, DeadlineExceededError, LedgerError, LLMError, RejectedRequestError
from ai_base.llm.interaction import ActiveInteraction, caps_for
from ai_base.llm.ledger.counters import scopes_of
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, log_fields, new_id, now, storable
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

STREAMING = "streaming"
"""The status of an attempt whose stream is being read."""
EXPIRY_MARGIN = 60.0
"""Seconds after an interaction's deadline at which a reservation is charged in full."""
MOST_TOKENS = 10**9
LONGEST_ERROR = 500
LONGEST_NAME = 100
BYTES_PER_ANSWER, BYTES_PER_TOKEN = 1_000_000, 1_000
"""A response is larger than this only if it is no answer: a streamed token takes some 300 bytes."""


@lru_cache(1000)
def safe_name(reported: str) -> str:
    """Return a model's name as the provider reports it, fit for a log line, a table and a terminal."""
    printable = "".join(letter for letter in str(storable(reported[:1000])) if letter.isprintable())
    return scrub(printable)[:LONGEST_NAME]


def ledger_patience(call: ActiveInteraction, budgets: Budgets) -> float:
    """Return the seconds that a call waits for the ledger: the time left, or half of it if the call can go on without.

    A call whose deadline has passed waits for `GRACE` seconds, because a ledger that works takes milliseconds.
    """
    left = max(GRACE, call.ends - time.monotonic())
    return left / 2 if budgets.when_ledger_fails == "spend" else left


@dataclass(frozen=True)
class Plan:
    """What an attempt may cost at most, in nanodollars, and its sizes in tokens."""

    messages: Messages
    bound: int
    most_output: int
    window: int | None


@dataclass(eq=False)
class Attempts:
    """Makes the attempts at one candidate."""

    name: str
    model_name: str
    candidate: Candidate
    price: Price
    ledger: Ledger
    config: Callable[[], Config]

    def __post_init__(self) -> None:
        given = self.candidate
        self.limiter = Limiter(self.name, given.requests_per_minute, given.concurrency, given.queue)
        self.breaker = Breaker(self.name, self.config().breaker)

    @asynccontextmanager
    async def start(self, call: ActiveInteraction, plan: Plan) -> AsyncIterator["Running"]:
        """Wait for a turn and reserve; at the end settle and record.

        Raises:
            UnavailableError: The candidate cannot answer now, or the attempt failed.
            RefusedError: The call would exceed a limit.
            RejectedRequestError: The provider refuses the request itself.
        """
        self.breaker.check()
        async with self.limiter.slot(call.remaining(), self.config().retry.max_delay) as slot:
            attempt = Attempt(new_id(), call.row.id, 0, self.name, now(), call.row.cost_center, call.row.prompt)
            attempt.model, attempt.user, attempt.reserved = self.model_name, call.row.user, plan.bound
            attempt.queue_ms, attempt.breaker = round(slot.waited * 1000, 3), self.breaker.state
            exchange = Exchange(BYTES_PER_ANSWER + BYTES_PER_TOKEN * plan.most_output)
            running = Running(self, call, plan, attempt, exchange, slot)
            with self.breaker.watch():
                booked = await self._reserve(call, attempt)
                current_exchange.set(exchange)
                start = time.perf_counter()
                try:
                    yield running
                except BaseException as error:
                    if (judged := running.judge(error)) is error:
                        raise
                    raise judged from error
                finally:
                    attempt.latency_ms = round((time.perf_counter() - start) * 1000, 3)
                    await self._finish(running, booked=booked)
                self.limiter.speed_up()

    async def _reserve(self, call: ActiveInteraction, attempt: Attempt) -> bool:
        """Hold the bound in every cap, or refuse. Returns whether the ledger has the reservation."""
        budgets = self.config().budgets
        call.budget.hold(attempt.reserved)
        call.row.calls += 1
        attempt.number = call.row.calls
        try:
            scopes = scopes_of(attempt.started_at, attempt.cost_center, attempt.user)
            caps = caps_for(budgets, scopes, call.cost_center, call.user)
            expires_in = call.remaining() + EXPIRY_MARGIN
            async with asyncio.timeout(ledger_patience(call, budgets)):
                usages = await self.ledger.reserve(attempt, call.row, caps, expires_in, enforce=budgets.enforce)
            call.on_reserved(usages)
        except BaseException as error:
            if isinstance(error, LedgerError | TimeoutError) and budgets.when_ledger_fails == "spend":
                log.error("llm ledger lost, spending unrecorded", error=str(error))  # noqa: TRY400 - the line says it all
                return False
            call.budget.settle(attempt.reserved, 0, made=False)
            call.row.calls -= 1
            if not isinstance(error, LLMError):  # such as a cancellation: the reservation may have been made before it
                attempt.status = "abandoned"
                await self._settle_in_time(call, attempt, booked=False)
            if isinstance(error, TimeoutError):
                raise DeadlineExceededError(call.deadline) from error
            raise
        return True

    async def _finish(self, running: "Running", *, booked: bool) -> None:
        attempt, call, window = running.attempt, running.call, running.plan.window
        attempt.limit_left = limit_left(running.exchange.headers)
        attempt.context_used = (attempt.input_tokens + attempt.output_tokens) / window if window else None
        call.budget.settle(attempt.reserved, attempt.cost)
        call.row.cost += attempt.cost
        log.info("llm attempt", **log_fields(attempt))
        if booked:
            await self._settle_in_time(call, attempt, response=running.response)

    async def _settle_in_time(
        self, call: ActiveInteraction, attempt: Attempt, *, booked: bool = True, response: ModelResponse | None = None
    ) -> None:
        """Settle; after the deadline, or if the caller is cancelled, in the background.

        Raises:
            LedgerError, DeadlineExceededError: An answer is not settled, and `when_ledger_fails` is `refuse`.
        """
        budgets = self.config().budgets
        failure: LLMError | None
        try:
            failure = await shielded(self._settle(attempt, booked=booked), ledger_patience(call, budgets))
        except TimeoutError as error:
            log.warning("llm attempt settled late", error=str(error), attempt=attempt.id)
            failure = DeadlineExceededError(call.deadline)
        if failure and attempt.status == "ok" and budgets.when_ledger_fails == "refuse":
            failure.unsettled = response
            raise failure

    async def _settle(self, attempt: Attempt, *, booked: bool) -> LedgerError | None:
        try:
            if not await self.ledger.settle(attempt) and booked:
                log.error("llm attempt outlived its reservation, which was charged in full", attempt=attempt.id)
        except LedgerError as error:
            # The reservation stays, and is charged in full when it expires: nothing is lost.
            log.error("llm settlement failed", error=str(error), attempt=attempt.id)  # noqa: TRY400
            return error
        return None


@dataclass(eq=False)
class Running:
    """An attempt that has been reserved."""

    attempts: Attempts
    call: ActiveInteraction
    plan: Plan
    attempt: Attempt
    exchange: Exchange
    slot: Slot
    response: ModelResponse | None = None

    def take(self, response: ModelResponse) -> None:
        """Note what the provider reports. Without a credible report it may have charged the reservation."""
        self.response, attempt = response, self.attempt
        attempt.model = safe_name(response.model_name or attempt.model)
        attempt.status = "ok" if response.state == "complete" else "abandoned"
        self._charge_reservation()
        usage = read_usage(response.usage, self.exchange.tail, self.attempts.candidate.usage)
        if min(usage.input_tokens, usage.output_tokens) < 0 or not 0 < usage.total_tokens < MOST_TOKENS:
            return
        try:
            cost = self.attempts.price.cost(usage)
        except (ValueError, ArithmeticError):  # such as more tokens from the cache than there are
            cost = attempt.reserved
        else:
            if cost > attempt.reserved:
                log.error(
                    "llm usage is not credible, the reservation is charged",
                    attempt=attempt.id,
                    model=attempt.model,
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                )
                return
            if response.state == "complete":
                attempt.cost, attempt.cost_basis = cost, "reported"
        attempt.input_tokens, attempt.output_tokens = usage.input_tokens, usage.output_tokens
        attempt.cached_input_tokens, attempt.reasoning_tokens = usage.cache_read_tokens, usage.output_reasoning_tokens

    def judge(self, error: BaseException) -> BaseException:
        """Note a failure, and return what to raise in its place."""
        attempt, name = self.attempt, self.attempts.name
        attempt.error = reason = f"{type(error).__name__}: {scrub(str(error))}"[:LONGEST_ERROR]
        streaming = attempt.status == STREAMING
        kind = kind_of(error, streaming=streaming)
        attempt.status = "abandoned" if kind == "other" else "failed"
        charge_server_errors = self.attempts.candidate.charge_server_errors
        if may_be_charged(error, streaming=streaming, charge_server_errors=charge_server_errors):
            self._charge_reservation()
        if kind == "other":
            return error
        if kind == "rejected":
            return RejectedRequestError(f"{name}: {reason}")
        if kind == "misconfigured":
            request = hash(str(list(text_parts(self.plan.messages))))
            if self.attempts.breaker.suspect(request, reason):
                log.error("llm candidate taken out: change its configuration", candidate=name, error=reason)
        return AttemptFailedError(name, reason, kind=kind, retry_after=getattr(error, "retry_after", None))

    def _charge_reservation(self) -> None:
        self.attempt.cost, self.attempt.cost_basis = self.attempt.reserved, "assumed"
