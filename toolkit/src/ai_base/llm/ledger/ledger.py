"""The ledger: interactions, attempts, cost and remaining budget. Spend never exceeds a cap."""

import time
from collections.abc import Iterable, Mapping
from typing import Literal, Self

from ai_base.llm.cancellation import finish_background_work
from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger import counters, database, reports, reservations, retention, schema
from ai_base.llm.ledger.connect import connect
from ai_base.llm.ledger.counters import CapUsage, Headroom, scopes_of
from ai_base.llm.ledger.database import Database, retry_on_lost_connection
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, Step, now, storable
from ai_base.llm.ledger.reports import SpendRow
from ai_base.llm.ledger.retention import Pruned
from ai_base.text.scrub import scrub

RECOVERY_INTERVAL = 60.0
"""Seconds between two searches for reservations that will not be settled."""

_ROLL_UP = """INSERT INTO spend_by_day (day, cost_center, model, prompt, calls, input_tokens, output_tokens, cost)
VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (day, cost_center, model, prompt)
DO UPDATE SET calls = spend_by_day.calls + 1, input_tokens = spend_by_day.input_tokens + excluded.input_tokens,
output_tokens = spend_by_day.output_tokens + excluded.output_tokens, cost = spend_by_day.cost + excluded.cost"""


class Ledger:
    """The ledger of one process and one event loop.

    Each method is one transaction, which is committed as a whole or not at all. A cancelled method ends at once, even
    if it waits for a lock or a server. Every failure of the database is a LedgerError.
    """

    def __init__(self, connected: Database) -> None:
        self.database = connected
        self._next_recovery = time.monotonic() + RECOVERY_INTERVAL

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open, create or migrate a ledger (see `connect`), and charge what dead processes left.

        Raises:
            LedgerError: The database cannot be used, or is newer than this code.
        """
        ledger = cls(connect(url))
        try:
            await schema.migrate(ledger.database)
            await ledger.recover()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """Wait for settlements that still run in the background, then close the database."""
        await finish_background_work(database.WAIT)
        await self.database.close()

    # ---- Spending ----

    async def reserve(
        self,
        attempt: Attempt,
        interaction: Interaction,
        caps: Mapping[str, int | None],
        expires_in: float,
        *,
        enforce: bool = True,
    ) -> list[CapUsage]:
        """Hold `attempt.reserved` in each of its scopes, before it is spent.

        Args:
            attempt: Is stored as a reservation until `settle`.
            interaction: Is stored as a reservation until `record`.
            caps: Nanodollars, by the key of a scope.
            expires_in: Seconds. After that the reservation is charged in full.
            enforce: If false, exceeded caps are only reported: by a usage whose `left` is negative.

        Returns:
            The usage of every cap, this reservation included.

        Raises:
            BudgetExceededError: A cap would be exceeded; nothing was reserved.
        """
        if time.monotonic() > self._next_recovery:
            self._next_recovery = time.monotonic() + RECOVERY_INTERVAL
            await self.recover()
        scopes = scopes_of(attempt.started_at, attempt.cost_center, attempt.user)
        async with self.database.transaction() as execute:
            usages = await counters.hold(execute, scopes, attempt.reserved, caps, enforce=enforce)
            await reservations.add(execute, attempt, interaction, expires_in)
        return usages

    @retry_on_lost_connection
    async def settle(self, attempt: Attempt) -> bool:
        """Replace the reservation of an attempt by its cost. False if that has been done before."""
        scopes = scopes_of(attempt.started_at, attempt.cost_center, attempt.user)
        kind = (attempt.started_at[:10], attempt.cost_center, attempt.model, attempt.prompt)
        async with self.database.transaction() as execute:
            if not await reservations.take(execute, attempt):
                return False
            await schema.insert(execute, attempt)
            await counters.add(execute, scopes, spent=attempt.cost, held=-attempt.reserved)
            await execute(_ROLL_UP, (*kind, attempt.input_tokens, attempt.output_tokens, attempt.cost))
        return True

    @retry_on_lost_connection
    async def record(self, interaction: Interaction, answer: tuple[str, str] | None = None) -> None:
        """Store the outcome of an interaction. With a `cache_key`, its response serves `cached`."""
        if answer:
            interaction.cache_key, interaction.response = answer
        async with self.database.transaction() as execute:
            await schema.insert(execute, interaction, once=True)
            await reservations.close(execute, interaction)

    async def recover(self) -> int:
        """Charge in full what dead processes reserved and what has expired. Returns the number of these attempts."""
        charged = 0
        async with self.database.transaction(read_only=True) as execute:
            lost = await reservations.find_lost(execute)
        for attempt in lost.attempts:
            attempt.status, attempt.error = "lost", "never settled"
            attempt.cost, attempt.cost_basis = attempt.reserved, "assumed"
            charged += await self.settle(attempt)
        for interaction in lost.interactions:
            interaction.status, interaction.error = "lost", "its process died"
            interaction.calls, interaction.cost = await reports.total(self.database.execute, interaction.id)
            await self.record(interaction)
        await counters.delete_expired(self.database.execute, now())
        return charged

    async def headroom(
        self, caps: Mapping[str, int | None], cost_center: str, user: str = "", *, at: str = ""
    ) -> list[Headroom]:
        """Return the usage of each cap in the current period and how fast it is used. Caps as in `reserve`."""
        at = at or now()
        async with self.database.transaction(read_only=True) as execute:
            return await counters.read_headroom(execute, at, scopes_of(at, cost_center, user), caps)

    # ---- Answers of models, for the cache, and of people ----

    async def cached(self, key: str, max_age: float) -> str | None:
        """Return the newest response with this `cache_key`, unless it is older than `max_age` seconds."""
        return await reports.cached(self.database.execute, key, max_age)

    async def escalate(self, escalation: Escalation) -> str:
        """Queue a question for a person, unless one with the same key is open. Returns the id of the open one."""
        async with self.database.transaction() as execute:
            await schema.insert(execute, escalation, once=True)
            open_one = "SELECT id FROM escalations WHERE key = ? AND answered_at = ''"
            return str((await execute(open_one, (escalation.key,)))[0][0])

    async def answered(self, key: str) -> Escalation | None:
        """Return a person's newest answer to this question."""
        newest = "WHERE key = ? AND answered_at <> '' ORDER BY answered_at DESC LIMIT 1"
        found = await schema.select(self.database.execute, Escalation, newest, key)
        return found[0] if found else None

    async def answer(self, escalation_id: str, answer: str, by: str) -> None:
        """Answer an open escalation.

        Raises:
            LedgerError: There is none of this id, or it has been answered, or the answer must not be stored.
        """
        if (scrubbed := scrub(answer)) != answer:
            raise LedgerError(f"the ledger stores no personal data and no secrets; this answer has some: {scrubbed}")
        change = """UPDATE escalations SET answer = ?, answered_at = ?, answered_by = ?
        WHERE id = ? AND answered_at = '' RETURNING id"""
        async with self.database.transaction() as execute:
            if await execute(change, (storable(answer), now(), storable(scrub(by)), escalation_id)):
                return
            found = await execute("SELECT answered_by FROM escalations WHERE id = ?", (escalation_id,))
            reason = f"has been answered by {found[0][0]}" if found else "does not exist"
            raise LedgerError(f"escalation {escalation_id!r} {reason}")

    async def use_approval(self, escalation_id: str) -> bool:
        """Mark an answered escalation as used. False if another caller, or another process, has used it."""
        change = "UPDATE escalations SET used_at = ? WHERE id = ? AND answered_at <> '' AND used_at = '' RETURNING id"
        return bool(await self.database.execute(change, (now(), escalation_id)))

    # ---- Agents ----

    async def add_steps(self, steps: Iterable[Step]) -> None:
        """Store steps of an agent's run."""
        async with self.database.transaction() as execute:
            for step in steps:
                await schema.insert(execute, step, once=True)

    async def steps(self, interaction_id: str) -> list[Step]:
        """Return the steps of the run to which an interaction belongs, in order; none if it is no agent's."""
        runs = "WHERE run_id IN (SELECT run_id FROM steps WHERE interaction_id = ?) ORDER BY id"
        return await schema.select(self.database.execute, Step, runs, interaction_id)

    # ---- Reports ----

    async def escalations(self, *, open_only: bool = True) -> list[Escalation]:
        """Return the escalations, oldest first."""
        where = "WHERE answered_at = '' ORDER BY id" if open_only else "ORDER BY id"
        return await schema.select(self.database.execute, Escalation, where)

    async def interactions(self, limit: int, **equal: str | None) -> list[Interaction]:
        """Return the newest interactions whose named fields have these values; None matches any value."""
        return await reports.interactions(self.database.execute, limit, equal)

    async def interaction(self, start_of_id: str) -> tuple[Interaction, list[Attempt]]:
        """Return an interaction and its attempts, in order. An unambiguous beginning of its id is enough.

        Raises:
            LedgerError: No id, or several, begin like this.
        """
        async with self.database.transaction(read_only=True) as execute:
            return await reports.interaction(execute, start_of_id)

    async def spend(self, by: Literal["cost_center", "model", "prompt", "day"], since: str = "") -> list[SpendRow]:
        """Return the spend `since` a day such as 2026-11-23, highest first (days: in order)."""
        return await reports.spend(self.database.execute, by, since)

    # ---- Retention ----

    async def prune(self, before: str, *, dry_run: bool = False) -> Pruned:
        """Delete interactions, attempts, answered escalations and agents' steps from before a time.

        Counters and the spend by day keep their numbers. Interactions that wait for a person, or are in progress, keep
        their rows.

        Args:
            before: A day such as `2026-11-23`, from 0:00 UTC, or a time stamp.
            dry_run: Only count.

        Raises:
            LedgerError: `before` is no time, or lies in the future.
        """
        return await retention.delete_old(self.database, before, dry_run=dry_run)

    async def erase_user(self, user: str, *, dry_run: bool = False) -> Pruned:
        """Remove a user's texts and name (as stored) from all rows. Cost and tokens stay, and so do the user's caps.

        Raises:
            LedgerError: A call of this user is in flight, or a question of theirs waits for a person.
        """
        return await retention.erase_user(self.database, user, dry_run=dry_run)
