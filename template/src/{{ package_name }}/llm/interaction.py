"""The interaction that is under way: who asks, what it may still spend, and how long it may still take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256

import structlog

from ..scrub import scrub
from .config import Budgets, Config
from .errors import BudgetExceededError, CallLimitError, DeadlineExceededError
from .records import NANO, Interaction, dollars, new_id, now

_cost_center: ContextVar[str] = ContextVar("cost_center", default="default")
_user: ContextVar[str] = ContextVar("user", default="")


@lru_cache(1000)  # the same few names, with every call
def storable(name: str) -> str:
    """Return a name without what is personal in it; a hash keeps those apart that would then be the same."""
    scrubbed = scrub(name)
    return scrubbed if scrubbed == name else f"{scrubbed} {sha256(name.encode()).hexdigest()[:8]}"


@contextmanager
def attributed_to(cost_center: str, user: str = "") -> Iterator[None]:
    """Charge every AI call inside, and in the tasks started there, to a cost centre (and note the user)."""
    tokens = _cost_center.set(cost_center), _user.set(user)
    try:
        yield
    finally:
        _cost_center.reset(tokens[0])
        _user.reset(tokens[1])


@dataclass
class Running:
    """An interaction under way, perhaps inside another one, whose caps hold as well.

    Money in nanodollars, `ends` on the monotonic clock.
    """

    row: Interaction
    dollars_cap: int | None
    calls_cap: int
    deadline: float
    ends: float
    outer: "Running | None" = None
    cost_center: str = "default"
    """As it was given; the row has it as it may be stored."""
    calls: int = 0
    spent: int = 0
    held: int = 0
    over: bool = False
    answer: tuple[str, str] | None = None
    """What to keep for the cache: key and text."""

    @classmethod
    def start(
        cls, config: Config, name: str, cost_center: str | None, user: str | None, deadline: float | None
    ) -> "Running":
        """Begin an interaction; who asks is as given, else as `attributed_to` says."""
        cap = config.budgets.interaction.dollars
        deadline = deadline or config.retry.deadline
        cost_center = cost_center or _cost_center.get()
        row = Interaction(
            id=new_id(),
            started_at=now(),
            prompt=storable(name),
            cost_center=storable(cost_center),
            user=storable(user or _user.get()),
            correlation_id=storable(str(structlog.contextvars.get_contextvars().get("correlation_id", ""))),
        )
        calls = config.budgets.interaction.calls
        ends = time.monotonic() + deadline
        return cls(row, None if cap is None else nano(cap), calls, deadline, ends, under_way(), cost_center)

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineExceededError: None are.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise DeadlineExceededError(self.deadline)
        return min(left, self.outer.remaining()) if self.outer else left

    def hold(self, amount: int) -> None:
        """Count a call, and hold its bound against the caps of this interaction and those around it.

        Raises:
            CallLimitError: It has made all its calls.
            BudgetExceededError: It could pass its cap.
        """
        if self.calls >= self.calls_cap:
            raise CallLimitError(self.calls_cap, self.calls)
        if self.dollars_cap is not None and self.spent + self.held + amount > self.dollars_cap:
            numbers = (self.dollars_cap, self.spent, self.held, amount)
            raise BudgetExceededError("interaction", *(dollars(number) for number in numbers))
        if self.outer:
            self.outer.hold(amount)
        self.calls += 1
        self.held += amount

    def release(self, amount: int) -> None:
        """Take a call back that was not made."""
        self.calls -= 1
        self.held -= amount
        if self.outer:
            self.outer.release(amount)

    def settle(self, amount: int, cost: int) -> None:
        """Replace what was held for a call by what it cost."""
        self.held -= amount
        self.spent += cost
        if self.outer:
            self.outer.settle(amount, cost)


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


def nano(amount: Decimal) -> int:
    """Convert US dollars to nanodollars; a cap is rounded down."""
    return int(amount * NANO)


def caps(budgets: Budgets, cost_center: str) -> dict[str, int | None]:
    """Return every counter that a call of this moment is held against, with its cap; none is counted all the same.

    So a cap that is set at noon holds against what the morning has spent.
    """
    when = datetime.now(UTC)
    periods = {"hour": f"{when:%Y-%m-%dT%H}", "day": f"{when:%Y-%m-%d}", "month": f"{when:%Y-%m}"}
    own = budgets.cost_centers.get(cost_center, budgets.each_cost_center)
    scopes = {}
    for name, limits in (("overall", budgets.overall), (f"cost center {storable(cost_center)}", own)):
        for period, value in periods.items():
            cap: Decimal | None = getattr(limits, period)
            scopes[f"{name}, {period} {value}"] = None if cap is None else nano(cap)
    return scopes
