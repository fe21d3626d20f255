"""Money spent and held per scope: overall, a cost centre or a user, in a minute, an hour, a day or a month."""

# ruff: noqa: S608 - values are never formatted into a statement, only their placeholders

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from ai_base.llm.errors import BudgetExceededError
from ai_base.llm.ledger.database import Execute
from ai_base.llm.money import dollars

type Subject = Literal["overall", "cost center", "user"]
type Period = Literal["minute", "hour", "day", "month"]

PREFIXES: dict[Period, int] = {"minute": 16, "hour": 13, "day": 10, "month": 7}
"""How many characters of a time stamp name the period."""
_KEPT = {
    "minute": timedelta(hours=2),
    "hour": timedelta(days=2),
    "day": timedelta(days=62),
    "month": timedelta(days=400),
}
"""How long a counter is kept, from its period's beginning. The roll-up by day is kept for ever."""


class Scope(NamedTuple):
    """What a cap applies to."""

    subject: Subject
    name: str
    """Of the cost centre or the user; empty for `overall`."""
    period: Period
    key: str
    """Such as `cost center support, day 2026-11-23`: the counter's primary key, and the scope's name in messages."""
    expires: str
    """The time after which the counter may be deleted."""


@dataclass(frozen=True)
class CapUsage:
    """A cap and what counts towards it, in nanodollars."""

    scope: Scope
    cap: int
    spent: int
    held: int
    """Reserved for calls in flight."""

    @property
    def left(self) -> int:
        """What can still be reserved; negative if the cap is exceeded, as it can be without enforcement."""
        return self.cap - self.spent - self.held

    @property
    def share(self) -> float:
        """Share of the cap that is spent or held; infinite for a cap of zero."""
        return (self.spent + self.held) / self.cap if self.cap else float("inf")


@dataclass(frozen=True)
class Headroom(CapUsage):
    """A cap, and how fast its subject spends. Money in nanodollars."""

    last_minute: int
    """Spent or held in the last 60 seconds, estimated from the counters of two minutes."""
    last_hour: int
    """Spent or held in the last 60 minutes, the current one included."""

    @property
    def minutes_left(self) -> float:
        """Minutes until the cap is used up at the pace of the last hour; infinite without spending."""
        return max(0, self.left) * 60 / self.last_hour if self.last_hour else float("inf")


def scopes_of(started_at: str, cost_center: str, user: str = "") -> Sequence[Scope]:
    """Return every scope that an attempt counts towards, sorted by key, whether it has a cap or not.

    Scopes without a cap are counted too, because a cap may be configured later in the period.
    """
    return _scopes(started_at[: PREFIXES["minute"]], cost_center, user)


@lru_cache(1000)
def _scopes(minute: str, cost_center: str, user: str) -> Sequence[Scope]:
    subjects: list[tuple[Subject, str]] = [("overall", ""), ("cost center", cost_center)]
    if user:
        subjects.append(("user", user))
    scopes = [_scope(subject, name, period, minute) for subject, name in subjects for period in PREFIXES]
    return sorted(scopes, key=lambda scope: scope.key)


def _scope(subject: Subject, name: str, period: Period, minute: str) -> Scope:
    label = f"{subject} {name}" if name else subject
    start = minute[: PREFIXES[period]]
    expires = (datetime.fromisoformat(f"{minute}:00+00:00") + _KEPT[period]).isoformat(timespec="microseconds")
    return Scope(subject, name, period, f"{label}, {period} {start}", expires)


def month_end(at: str) -> str:
    """Return the time stamp at which a month ends: the expiry of an erased user's counters."""
    in_next_month = datetime.fromisoformat(f"{at[:7]}-01T00:00+00:00") + timedelta(days=31)
    return in_next_month.replace(day=1).isoformat(timespec="microseconds")


@lru_cache(10)
def _add_statement(rows: int) -> str:
    """Return an upsert of so many counters, which returns their totals.

    It locks the rows in the order of its values: with sorted scopes, no two transactions wait for each other.
    """
    return (
        f"INSERT INTO counters (scope, expires, spent, held) VALUES {', '.join(['(?, ?, ?, ?)'] * rows)} "
        "ON CONFLICT (scope) DO UPDATE SET spent = counters.spent + excluded.spent, "
        "held = counters.held + excluded.held RETURNING scope, spent, held"
    )


async def add(
    execute: Execute, scopes: Sequence[Scope], *, spent: int = 0, held: int = 0
) -> dict[str, tuple[int, int]]:
    """Add to every counter. Returns what is `spent` and `held` now, by key."""
    values: list[object] = []
    for scope in scopes:
        values += (scope.key, scope.expires, spent, held)
    rows = await execute(_add_statement(len(scopes)), values)
    return {key: (all_spent, all_held) for key, all_spent, all_held in rows}


async def hold(
    execute: Execute, scopes: Sequence[Scope], amount: int, caps: Mapping[str, int | None], *, enforce: bool
) -> list[CapUsage]:
    """Reserve an amount in every scope, and return the usage of every cap, the amount included.

    Raises:
        BudgetExceededError: A cap would be exceeded, and `enforce` is set. The transaction has to be rolled back.
    """
    totals = await add(execute, scopes, held=amount)
    usages = []
    for scope in scopes:
        cap = caps.get(scope.key)
        if cap is None:
            continue
        spent, held = totals[scope.key]
        if enforce and spent + held > cap:
            raise BudgetExceededError(scope.key, dollars(cap), dollars(spent), dollars(held - amount), dollars(amount))
        usages.append(CapUsage(scope, cap, spent, held))
    return usages


async def read_totals(execute: Execute, keys: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return `spent` and `held` by key, of the counters that exist."""
    marks = ", ".join("?" * len(keys))
    rows = await execute(f"SELECT scope, spent, held FROM counters WHERE scope IN ({marks})", keys)
    return {key: (spent, held) for key, spent, held in rows}


async def read_headroom(
    execute: Execute, at: str, scopes: Sequence[Scope], caps: Mapping[str, int | None]
) -> list[Headroom]:
    """Return the usage of every cap, and how fast its subject spends."""
    moment = datetime.fromisoformat(at)
    minutes = [(moment - timedelta(minutes=ago)).isoformat()[: PREFIXES["minute"]] for ago in range(60)]
    capped = [(scope, cap) for scope in scopes if (cap := caps.get(scope.key)) is not None]
    rows = []
    for scope, cap in capped:
        minute_keys = [_scope(scope.subject, scope.name, "minute", minute).key for minute in minutes]
        totals = await read_totals(execute, [scope.key, *minute_keys])
        by_minute = [sum(totals.get(key, (0, 0))) for key in minute_keys]
        last_minute = by_minute[0] + by_minute[1] * (60 - moment.second) // 60
        rows.append(Headroom(scope, cap, *totals.get(scope.key, (0, 0)), last_minute, sum(by_minute)))
    return rows


async def delete_expired(execute: Execute, at: str) -> None:
    """Delete expired counters, unless something is still held in them."""
    await execute("DELETE FROM counters WHERE held = 0 AND expires < ?", (at,))
