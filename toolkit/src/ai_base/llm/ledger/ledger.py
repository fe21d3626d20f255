"""The books: who asked what, what each attempt cost, and what may still be spent. No cap is ever passed."""

# ruff: noqa: S608 - no value is ever written into a statement

import json
import time
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

from ai_base.llm.errors import BudgetExceededError, LedgerError
from ai_base.llm.ledger.database import Database, Execute, again, connect
from ai_base.llm.ledger.process_identity import is_dead, owner
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, now, scopes_of, storable
from ai_base.llm.ledger.schema import COLUMNS, ROLL_UP, insert, marks, migrate, select
from ai_base.llm.money import dollars
from ai_base.text.scrub import scrub

SWEEP = 60.0  # seconds between two looks for expired reservations, and for answers that are too old
ANSWERS_KEPT = 30 * 86_400.0  # seconds
KNOWN = 10_000  # counters that are remembered to exist
LONGEST_INTERACTION = 86_400.0  # seconds; then one of another host is taken for lost
_COUNTERS = "SELECT scope, spent, held FROM counters"
_TOTAL = "SELECT count(*), CAST(coalesce(sum(cost), 0) AS BIGINT) FROM attempts WHERE interaction_id = ?"


class SpendRow(NamedTuple):
    """What was spent under one name; `cost` in nanodollars."""

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int


class Ledger:
    """Each method happens wholly or not at all, and raises LedgerError where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self.database, self._transaction, self.close = database, database.transaction, database.close
        self._sweep_at, self._known = time.monotonic() + SWEEP, set[str]()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open, create or migrate a ledger (see `database.connect`), and charge what dead processes left.

        Raises:
            LedgerError: The database cannot be used, or is newer than this code.
        """
        ledger = cls(connect(url))
        try:
            await migrate(ledger.database)
            await ledger.recover()
        except BaseException:
            await ledger.close()
            raise
        return ledger

    # ---- Spending ----

    async def reserve(
        self, attempt: Attempt, interaction: Interaction, caps: Mapping[str, int | None], expires_in: float
    ) -> None:
        """Hold `attempt.reserved` against each of its scopes, before it is spent. Caps in nanodollars, time in seconds.

        Raises:
            BudgetExceededError: A cap would be passed; nothing was held.
        """
        if time.monotonic() > self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP
            await self.recover()
        scopes, amount = scopes_of(attempt.started_at, attempt.cost_center), attempt.reserved
        if not self._known.issuperset(scopes):  # apart, and in order: nobody waits for a row while he holds another
            async with self._transaction() as execute:
                for scope in scopes:
                    await execute("INSERT INTO counters VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (scope,))
            self._known = {*scopes, *(self._known if len(self._known) < KNOWN else ())}
        async with self._transaction() as execute:
            for scope, spent, held in await self._lock(execute, scopes):
                cap = caps.get(scope)
                if cap is not None and spent + held + amount > cap:
                    raise BudgetExceededError(scope, *map(dollars, (cap, spent, held, amount)))
            await execute(f"UPDATE counters SET held = held + ? WHERE scope IN ({marks(scopes)})", (amount, *scopes))
            for record, seconds in ((attempt, expires_in), (interaction, LONGEST_INTERACTION)):
                row = (record.id, type(record).__name__, owner(), time.time() + seconds, json.dumps(vars(record)))
                await execute("INSERT INTO unfinished VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row)

    @again
    async def settle(self, attempt: Attempt) -> bool:
        """Replace what was held for an attempt by its cost, and record it. False if that has been done before."""
        scopes = scopes_of(attempt.started_at, attempt.cost_center)
        change = f"UPDATE counters SET spent = spent + ?, held = held - ? WHERE scope IN ({marks(scopes)})"
        kind = (attempt.started_at[:10], attempt.cost_center, attempt.model, attempt.prompt)
        async with self._transaction() as execute:
            if not await execute("DELETE FROM unfinished WHERE id = ? RETURNING id", (attempt.id,)):
                return False
            if self.database.lock:
                await self._lock(execute, scopes)
            await execute(change, (attempt.cost, attempt.reserved, *scopes))
            await insert(execute, attempt)
            await execute(ROLL_UP, (*kind, attempt.input_tokens, attempt.output_tokens, attempt.cost))
        return True

    @again
    async def record(self, interaction: Interaction, answer: tuple[str, str] | None = None) -> None:
        """Write down what became of an interaction, and keep its `answer` (key, text) for the cache."""
        async with self._transaction() as execute:
            await insert(execute, interaction, once=True)
            await execute("DELETE FROM unfinished WHERE id = ?", (interaction.id,))
            if answer:
                change = "ON CONFLICT (key) DO UPDATE SET output = excluded.output, at = excluded.at"
                row = (answer[0], storable(answer[1]), time.time())
                await execute(f"INSERT INTO answers VALUES (?, ?, ?) {change}", row)

    async def recover(self) -> int:
        """Charge in full, as lost, what dead processes held and what has expired. Returns how many attempts."""
        charged = 0
        async with self._transaction(read_only=True) as execute:
            rows = await execute("SELECT kind, record, owner, expires_at FROM unfinished ORDER BY kind")
        for kind, text, held_by, expires_at in rows:
            if expires_at > time.time() and not is_dead(held_by):
                continue
            lost = _read(kind, text)
            lost.status = "lost"
            if isinstance(lost, Attempt):
                lost.cost, lost.cost_basis, lost.error = lost.reserved, "assumed", "never settled"
                charged += await self.settle(lost)
            else:
                async with self._transaction(read_only=True) as execute:
                    [[lost.calls, lost.cost]] = await execute(_TOTAL, (lost.id,))
                lost.error = "its process died"
                await self.record(lost)
        async with self._transaction() as execute:
            await execute("DELETE FROM answers WHERE at < ?", (time.time() - ANSWERS_KEPT,))
        return charged

    # ---- Answers: of models, for the cache, and of people ----

    async def cached(self, key: str, max_age: float) -> str | None:
        """Return the remembered answer, if it is no more than so many seconds old."""
        async with self._transaction(read_only=True) as execute:
            rows = await execute("SELECT output, at FROM answers WHERE key = ?", (key,))
        return next((output for output, at in rows if time.time() - at <= max_age), None)

    async def escalate(self, escalation: Escalation) -> str:
        """Put a question to a person, and return its id: that of the open one, where it has been asked already."""
        async with self._transaction() as execute:
            await insert(execute, escalation, once=True)
            find = "SELECT id FROM escalations WHERE key = ? AND answered_at = ''"
            return str((await execute(find, (escalation.key,)))[0][0])

    async def answered(self, key: str) -> Escalation | None:
        """Return a person's newest answer to this question."""
        newest = "WHERE key = ? AND answered_at <> '' ORDER BY answered_at DESC LIMIT 1"
        return next(iter(await select(self.database, Escalation, newest, key)), None)

    async def answer(self, escalation_id: str, answer: str, by: str) -> None:
        """Answer an open escalation.

        Raises:
            LedgerError: There is none of this id, or it has been answered, or the answer may not be stored.
        """
        if (scrubbed := scrub(answer)) != answer:
            raise LedgerError(f"the ledger stores no personal data and no secrets; this answer has some: {scrubbed}")
        change = "UPDATE escalations SET answer = ?, answered_at = ?, answered_by = ? WHERE id = ? AND answered_at = ''"
        async with self._transaction() as execute:
            row = (storable(answer), now(), storable(scrub(by)), escalation_id)
            if not await execute(f"{change} RETURNING id", row):
                found = await execute("SELECT answered_by FROM escalations WHERE id = ?", (escalation_id,))
                told = f"has been answered by {found[0][0]}" if found else "does not exist"
                raise LedgerError(f"escalation {escalation_id!r} {told}")

    # ---- Looking back ----

    async def escalations(self, *, open_only: bool = True) -> list[Escalation]:
        """Return what people were asked, oldest first."""
        return await select(self.database, Escalation, "WHERE answered_at = '' " * open_only + "ORDER BY id")

    async def interactions(self, limit: int, **equal: str | None) -> list[Interaction]:
        """Return the newest interactions, of which the named fields have these values; None is any value."""
        filters = {name: value for name, value in equal.items() if value is not None}
        if unknown := filters.keys() - set(COLUMNS[Interaction]):
            raise LedgerError(f"interactions have no field {', '.join(sorted(unknown))}")
        where = "WHERE " + " AND ".join(f'"{name}" = ?' for name in filters) if filters else ""
        order = f"{where} ORDER BY id DESC LIMIT ?"
        return await select(self.database, Interaction, order, *filters.values(), limit)

    async def interaction(self, start_of_id: str) -> tuple[Interaction, list[Attempt]]:
        """Return an interaction and its attempts, in order. As much of its id is enough as only one id starts with.

        Raises:
            LedgerError: None does, or several do.
        """
        start = "WHERE id >= ? AND id < ? LIMIT 2"
        found = await select(self.database, Interaction, start, start_of_id, start_of_id + "g")
        if len(found) != 1:
            raise LedgerError(f"{'several interactions start' if found else 'none starts'} with {start_of_id!r}")
        where = "WHERE interaction_id = ? ORDER BY number, id"
        return found[0], await select(self.database, Attempt, where, found[0].id)

    async def spend(self, by: Literal["cost_center", "model", "prompt", "day"], since: str = "") -> list[SpendRow]:
        """Return what was spent, the dearest first (days: in order), `since` a day such as 2026-11-23."""
        sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in SpendRow._fields[1:])
        order = "1" if by == "day" else "5 DESC, 1"
        query = f"SELECT {by}, {sums} FROM spend_by_day WHERE day >= ? GROUP BY 1 ORDER BY {order}"
        async with self._transaction(read_only=True) as execute:
            return [SpendRow(*row) for row in await execute(query, (since[:10],))]

    async def _lock(self, execute: Execute, scopes: list[str]) -> list[tuple[str, int, int]]:
        where = f"WHERE scope IN ({marks(scopes)}) ORDER BY scope{self.database.lock}"  # an order: no deadlock
        return [(row[0], row[1], row[2]) for row in await execute(f"{_COUNTERS} {where}", scopes)]


def _read(kind: str, text: str) -> Attempt | Interaction:
    """Read a record that another version may have written."""
    found: type[Attempt | Interaction] = Attempt if kind == Attempt.__name__ else Interaction
    return found(**{name: value for name, value in json.loads(text).items() if name in COLUMNS[found]})
