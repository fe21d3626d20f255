"""The active interaction: its row, its attribution, its budget and its deadline."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import TypedDict, Unpack

import structlog

from ai_base.llm.configuration.config import Budgets, Config
from ai_base.llm.errors import BudgetExceededError, CallLimitError, DeadlineExceededError, RefusedError
from ai_base.llm.ledger.counters import CapUsage, Scope
from ai_base.llm.ledger.records import Interaction, new_id, now, storable
from ai_base.llm.money import dollars, nanodollars
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)


@lru_cache(1000)  # the same few names come with every call
def anonymous(name: str) -> str:
    """Scrub a name before it is stored. A hash keeps two names apart that scrub to the same text."""
    scrubbed = scrub(str(storable(name)))
    return scrubbed if scrubbed == name else f"{scrubbed} {sha256(name.encode(errors='replace')).hexdigest()[:8]}"


class Attribution(TypedDict, total=False):
    """The cost centre that pays for a call, and the user on whose behalf it is made."""

    cost_center: str
    user: str


def attributed_to(**attribution: Unpack[Attribution]) -> AbstractContextManager[None]:
    """Charge AI calls inside, and in tasks started there, to a cost centre and a user; log lines carry both."""
    return structlog.contextvars.bound_contextvars(**attribution)


@dataclass
class Budget:
    """What an interaction, or an agent's run, may spend, nested interactions included. Money in nanodollars."""

    dollars_cap: int | None
    calls_cap: int
    enforce: bool = True
    """If false, a call that would exceed a cap is logged and made."""
    calls: int = 0
    spent: int = 0
    held: int = 0
    outer: "Budget | None" = None
    """The budget of the interaction around an agent's run. It must allow each call as well."""
    scope: str = "interaction"
    """What the cap is called in an error."""

    def hold(self, amount: int) -> None:
        """Count a call and reserve the most that it can cost.

        Raises:
            CallLimitError: The interaction has made all its calls.
            BudgetExceededError: The call could exceed the cap.
        """
        if self.calls >= self.calls_cap:
            self._refuse(CallLimitError(self.calls_cap, self.calls))
        if self.dollars_cap is not None and self.spent + self.held + amount > self.dollars_cap:
            numbers = (self.dollars_cap, self.spent, self.held, amount)
            self._refuse(BudgetExceededError(self.scope, *map(dollars, numbers)))
        if self.outer:
            self.outer.hold(amount)
        self.calls += 1
        self.held += amount

    def _refuse(self, error: RefusedError) -> None:
        if self.enforce:
            raise error
        log.warning("llm cap exceeded, not enforced", error=str(error))

    def settle(self, amount: int, cost: int, *, made: bool = True) -> None:
        """Replace a reservation by the call's cost. A call that was not `made` does not count."""
        self.held -= amount
        self.spent += cost
        if not made:
            self.calls -= 1
        if self.outer:
            self.outer.settle(amount, cost, made=made)


def _ignore(_: list[CapUsage]) -> None:
    """Do nothing: the default of `on_reserved`."""


@dataclass
class ActiveInteraction:
    """An interaction in progress. A nested one shares budget and deadline with the outer one, and has its own row."""

    row: Interaction
    budget: Budget
    deadline: float
    """Seconds from the start; for messages."""
    ends: float
    """When the deadline passes, on the monotonic clock."""
    cost_center: str
    """As given; the row holds the anonymous form."""
    user: str
    """As given; the row holds the anonymous form."""
    outer: "ActiveInteraction | None"
    on_reserved: Callable[[list[CapUsage]], None] = _ignore
    """Called with the usage of every cap after each reservation."""
    cheaper_chain: str = ""
    """The chain to ask instead of any other, while a cap is nearly used up."""
    over: bool = False
    answer: tuple[str, str] | None = None
    """Key and text to store in the answer cache."""
    _previous: dict[str, object] = field(default_factory=dict)

    @classmethod
    def start(
        cls, config: Config, name: str, deadline: float | None, cost_center: str = "", user: str = ""
    ) -> "ActiveInteraction":
        """Start an interaction and make it the current one.

        Cost centre and user are those given, else those of the innermost `attributed_to` or interaction around it.
        """
        outer, limits = find_interaction(), config.budgets.interaction
        given = {name: value for name, value in (("cost_center", cost_center), ("user", user)) if value}
        deadline = deadline or config.retry.deadline
        ends = time.monotonic() + deadline
        if outer and outer.ends < ends:
            deadline, ends = outer.deadline, outer.ends
        context = structlog.contextvars.get_contextvars()
        cost_center = cost_center or str(context.get("cost_center") or "default")
        user = user or str(context.get("user") or "")
        row = Interaction(new_id(), now(), anonymous(name), cost_center=anonymous(cost_center), user=anonymous(user))
        row.correlation_id = anonymous(str(context.get("correlation_id", "")))
        cap = None if limits.dollars is None else nanodollars(limits.dollars)
        budget = outer.budget if outer else Budget(cap, limits.calls, config.budgets.enforce)
        started = cls(row, budget, deadline, ends, cost_center, user, outer)
        started._previous = {name: context[name] for name in ("cost_center", "user") if name in context}
        structlog.contextvars.bind_contextvars(**given)
        _active.set(started)
        return started

    def end(self) -> None:
        """End the interaction; the outer one becomes current again, and so does its attribution."""
        self.over = True
        if _active.get() is not self:  # an agent's stream may be closed in another context
            return
        _active.set(self.outer)
        structlog.contextvars.unbind_contextvars("cost_center", "user")
        structlog.contextvars.bind_contextvars(**self._previous)

    def remaining(self) -> float:
        """Return the seconds until the deadline.

        Raises:
            DeadlineExceededError: It has passed.
        """
        if (left := self.ends - time.monotonic()) <= 0:
            raise DeadlineExceededError(self.deadline)
        return left


_active: ContextVar[ActiveInteraction | None] = ContextVar("active_interaction", default=None)


def find_interaction() -> ActiveInteraction | None:
    """Return the interaction of this task, if any. One that has ended does not count: a task may outlive it."""
    call = _active.get()
    while call and call.over:
        call = call.outer
    return call


def current_interaction() -> ActiveInteraction:
    """Return the interaction of this task.

    Raises:
        LookupError: There is none.
    """
    if (call := find_interaction()) is None:
        raise LookupError("a guarded model needs an interaction: use Gateway.ask, .model or .interaction")
    return call


def caps_for(budgets: Budgets, scopes: Sequence[Scope], cost_center: str = "", user: str = "") -> dict[str, int]:
    """Return the cap of every scope that has one, in nanodollars. Names as the configuration has them."""
    caps = {
        "overall": budgets.overall,
        "cost center": budgets.cost_centers.get(cost_center, budgets.each_cost_center),
        "user": budgets.users.get(user, budgets.each_user),
    }
    found: dict[str, int] = {}
    for scope in scopes:
        cap: Decimal | None = getattr(caps[scope.subject], scope.period)
        if cap is not None:
            found[scope.key] = nanodollars(cap)
    return found
