"""The interaction that is under way: who asks, what it may still spend, and how long it may still take."""

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import TypedDict, Unpack

import structlog

from ai_base.llm.configuration.config import Budgets, Config
from ai_base.llm.errors import BudgetExceededError, CallLimitError, DeadlineExceededError
from ai_base.llm.ledger.records import Attempt, Interaction, new_id, now, scopes_of, storable
from ai_base.llm.money import dollars, nanodollars
from ai_base.text.scrub import scrub


@lru_cache(1000)  # the same few names, with every call
def anonymous(name: str) -> str:
    """Return a name without what is personal in it; a hash keeps those apart that would then be the same."""
    scrubbed = scrub(str(storable(name)))
    return scrubbed if scrubbed == name else f"{scrubbed} {sha256(name.encode(errors='replace')).hexdigest()[:8]}"


class Who(TypedDict, total=False):
    """Who asks."""

    cost_center: str
    user: str


def attributed_to(**who: Unpack[Who]) -> AbstractContextManager[None]:
    """Charge every AI call inside, and in the tasks started there, to a cost centre; note the user. So do log lines."""
    return structlog.contextvars.bound_contextvars(**who)


@dataclass
class Budget:
    """What an interaction may spend, together with those inside it. Money in nanodollars."""

    dollars_cap: int | None
    calls_cap: int
    calls: int = 0
    spent: int = 0
    held: int = 0

    def hold(self, amount: int) -> None:
        """Count a call, and hold its bound.

        Raises:
            CallLimitError: All calls have been made.
            BudgetExceededError: The cap could be passed.
        """
        if self.calls >= self.calls_cap:
            raise CallLimitError(self.calls_cap, self.calls)
        if self.dollars_cap is not None and self.spent + self.held + amount > self.dollars_cap:
            numbers = (self.dollars_cap, self.spent, self.held, amount)
            raise BudgetExceededError("interaction", *map(dollars, numbers))
        self.calls += 1
        self.held += amount

    def settle(self, amount: int, cost: int, *, made: bool = True) -> None:
        """Replace what was held for a call by what it cost; one that was not `made` does not count."""
        self.held -= amount
        self.spent += cost
        self.calls -= not made


@dataclass
class Running:
    """An interaction under way. One inside another shares its budget, and its deadline; each has a row of its own."""

    row: Interaction
    budget: Budget
    deadline: float
    """In seconds, from its start."""
    ends: float
    """On the monotonic clock."""
    cost_center: str
    """As it was given; the row has it as it may be stored."""
    outer: "Running | None"
    over: bool = False
    answer: tuple[str, str] | None = None
    """What to keep for the cache: key and text."""

    @classmethod
    def start(
        cls, config: Config, name: str, deadline: float | None, cost_center: str = "", user: str = ""
    ) -> "Running":
        """Begin an interaction; who asks is as given, else as `attributed_to` says."""
        outer, caps = under_way(), config.budgets.interaction
        deadline = deadline or config.retry.deadline
        ends = time.monotonic() + deadline
        if outer and outer.ends < ends:
            deadline, ends = outer.deadline, outer.ends
        cap = None if caps.dollars is None else nanodollars(caps.dollars)
        known = structlog.contextvars.get_contextvars()
        cost_center = cost_center or str(known.get("cost_center", "default"))
        row = Interaction(new_id(), now(), anonymous(name), cost_center=anonymous(cost_center))
        row.user = anonymous(user or str(known.get("user", "")))
        row.correlation_id = anonymous(str(known.get("correlation_id", "")))
        return cls(row, outer.budget if outer else Budget(cap, caps.calls), deadline, ends, cost_center, outer)

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineExceededError: None are.
        """
        if (left := self.ends - time.monotonic()) <= 0:
            raise DeadlineExceededError(self.deadline)
        return left


running: ContextVar[Running | None] = ContextVar("running_interaction", default=None)


def under_way() -> Running | None:
    """Return the interaction that this task is in, if any; a task may outlive the one that it was started in."""
    call = running.get()
    while call and call.over:
        call = call.outer
    return call


def current() -> Running:
    """Return the interaction that is under way."""
    if (call := under_way()) is None:
        raise LookupError("a guarded model runs inside an interaction: use Gateway.ask, .model or .interaction")
    return call


def caps(budgets: Budgets, cost_center: str, attempt: Attempt) -> dict[str, int | None]:
    """Return the caps, in nanodollars, of the counters that an attempt is held against."""
    own = budgets.cost_centers.get(cost_center, budgets.each_cost_center)
    found: dict[str, int | None] = {}
    for scope in scopes_of(attempt.started_at, attempt.cost_center):
        period = scope.rpartition(", ")[2].partition(" ")[0]
        cap: Decimal | None = getattr(budgets.overall if scope.startswith("overall, ") else own, period)
        found[scope] = None if cap is None else nanodollars(cap)
    return found
