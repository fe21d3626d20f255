"""Monitors how much of each cap is used: warnings, the soft landing, and the headroom as data."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import structlog

from ai_base.llm.candidates.attempt import ledger_patience
from ai_base.llm.configuration.config import Config
from ai_base.llm.errors import LedgerError
from ai_base.llm.interaction import ActiveInteraction, anonymous, caps_for
from ai_base.llm.ledger.counters import CapUsage, Headroom, scopes_of
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import now
from ai_base.llm.money import dollars

log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Counters whose usage is remembered."""


@dataclass(frozen=True)
class BudgetStatus:
    """The usage of one cap. Amounts in US dollars."""

    scope: str
    """Such as `cost center support, day 2026-11-24`."""
    cap: Decimal
    spent: Decimal
    held: Decimal
    """Reserved for calls in flight."""
    left: Decimal
    """Negative if the cap is exceeded, as it can be with `enforce = false`."""
    share: float
    """Share of the cap that is spent or held."""
    calls_left: int | None
    """At the mean cost of today's calls of the cost centre; None if there were none."""
    dollars_per_minute: Decimal
    """In the last hour."""
    used_up_at: datetime | None
    """At the pace of the last hour; None if nothing was spent in it. A cap renews with its period, perhaps earlier."""


class CapMonitor:
    """The usage of each cap, as the ledger reported it with the latest reservation; it includes other processes."""

    def __init__(
        self, config: Callable[[], Config], ledger: Ledger, on_warning: Callable[[CapUsage], None] | None
    ) -> None:
        self._config, self._ledger, self._on_warning = config, ledger, on_warning
        self._usages: dict[str, CapUsage] = {}
        self._warned: set[str] = set()

    def observe(self, usages: Iterable[CapUsage]) -> None:
        """Note the usages. Log a warning and call the hook, once per cap and period, when `warn_at` is reached."""
        budgets = self._config().budgets
        if len(self._usages) > REMEMBERED:
            self._usages.clear()
            self._warned.clear()
        for usage in usages:
            key = usage.scope.key
            self._usages[key] = usage
            if usage.left < 0 and not budgets.enforce:
                log.warning("llm cap exceeded, not enforced", **_amounts(usage))
            if usage.share >= budgets.warn_at and key not in self._warned:
                self._warned.add(key)
                log.warning("llm cap nearly used up", share=round(usage.share, 3), **_amounts(usage))
                if self._on_warning:
                    self._on_warning(usage)

    async def cheaper_chain(self, call: ActiveInteraction) -> str:
        """Return the chain of the soft landing if a cap of the caller has reached its share; else an empty string."""
        soft = self._config().budgets.soft_landing
        if soft is None:
            return ""
        caps = self._caps(call.cost_center, call.user)
        if unknown := caps.keys() - self._usages.keys():
            try:
                async with asyncio.timeout(ledger_patience(call, self._config().budgets)):
                    found = await self._ledger.headroom(caps, call.row.cost_center, call.row.user)
            except (LedgerError, TimeoutError) as error:  # the reservation decides whether a lost ledger stops the call
                log.warning("llm headroom unknown", error=str(error))
                return ""
            self._usages |= {usage.scope.key: usage for usage in found if usage.scope.key in unknown}
        for key in caps:
            if key in self._usages and self._usages[key].share >= soft.at:
                log.info("llm soft landing", chain=soft.chain, **_amounts(self._usages[key]))
                return soft.chain
        return ""

    async def status(self, cost_center: str, user: str) -> list[BudgetStatus]:
        """Return the status of each cap that applies to a cost centre and a user."""
        name = anonymous(cost_center)
        found = await self._ledger.headroom(self._caps(cost_center, user), name, anonymous(user) if user else "")
        today = await self._ledger.spend("cost_center", now()[:10])
        mean = next((row.cost / row.calls for row in today if row.name == name and row.calls), None)
        return [_status(each, mean) for each in found]

    def _caps(self, cost_center: str, user: str) -> dict[str, int]:
        scopes = scopes_of(now(), anonymous(cost_center), anonymous(user) if user else "")
        return caps_for(self._config().budgets, scopes, cost_center, user)


def _status(usage: Headroom, mean_cost: float | None) -> BudgetStatus:
    minutes = usage.minutes_left
    return BudgetStatus(
        scope=usage.scope.key,
        cap=dollars(usage.cap),
        spent=dollars(usage.spent),
        held=dollars(usage.held),
        left=dollars(usage.left),
        share=usage.share,
        calls_left=int(max(0, usage.left) / mean_cost) if mean_cost else None,
        dollars_per_minute=dollars(usage.last_hour) / 60,
        used_up_at=datetime.now(UTC) + timedelta(minutes=minutes) if minutes < timedelta.max.days else None,
    )


def _amounts(usage: CapUsage) -> dict[str, str]:
    amounts = {"cap": usage.cap, "spent": usage.spent, "held": usage.held}
    return {"scope": usage.scope.key, **{name: f"${dollars(amount):f}" for name, amount in amounts.items()}}
