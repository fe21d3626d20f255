"""The books: who asked what, what each attempt cost, and what may still be spent. No cap is ever passed."""

# ruff: noqa: S608 - no value is ever written into a statement

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from .errors import BudgetExceededError, LedgerError
from .records import Attempt, Escalation, Interaction, dollars, now
from .schema import COLUMNS, ROLL_UP, insert, marks, migrate, read_json, select, storable
from .storage import Database, Execute, connect

SWEEP = 60.0  # seconds between two looks for expired reservations, and for answers that are too old
ANSWERS_KEPT = 30 * 86_400.0  # seconds


@dataclass(frozen=True)
class SpendRow:
    """What was spent under one name; `cost` in nanodollars."""

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int


class Ledger:
    """The methods block for a moment; from an event loop: `await ledger.call(ledger.reserve, ...)`.

    Each happens wholly or not at all, and raises LedgerError where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self.call = database.call
        self.close = database.close
        self.database, self._transaction = database, database.transaction
        self._known: set[str] = set()
        self._sweep_at = time.monotonic() + SWEEP

    @classmethod
    def open(cls, url: str) -> Self:
        """Open, create or migrate a ledger (see `storage.connect`), and charge what dead processes left.

        Raises:
            LedgerError: The database cannot be used, or is newer than this code.
        """
        database = connect(url)
        try:
            migrate(database)
            ledger = cls(database)
            ledger.recover()
        except BaseException:
            database.close()
            raise
        return ledger

    # ---- Spending ----

    def reserve(
        self, attempt: Attempt, interaction: Interaction, amount: int, caps: Mapping[str, int | None], expires_in: float
    ) -> None:
        """Hold an amount against every scope, before it is spent. Money in nanodollars, time in seconds.

        Raises:
            BudgetExceededError: A cap would be passed; nothing was held.
        """
        if time.monotonic() > self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP
            self.recover(dead=False)
        scopes = sorted(caps)  # all lock in the same order, so that none waits for one that waits for it
        text, owner = json.dumps(scopes), self.database.owner
        with self._transaction() as execute:
            if text not in self._known:
                for scope in scopes:
                    execute("INSERT INTO counters VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (scope,))
                execute("INSERT INTO scope_sets VALUES (?, ?) ON CONFLICT DO NOTHING", (_number(text), text))
            for scope, spent, held in self._lock(execute, scopes).fetchall():
                cap = caps[scope]
                if cap is not None and spent + held + amount > cap:
                    raise BudgetExceededError(scope, *map(dollars, (cap, spent, held, amount)))
            execute(f"UPDATE counters SET held = held + ? WHERE scope IN ({marks(scopes)})", (amount, *scopes))
            until = time.time() + expires_in
            held_row = (attempt.id, amount, owner, until, text, json.dumps(vars(attempt)))
            execute("INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?)", held_row)
            open_row = (interaction.id, owner, json.dumps(vars(interaction)))
            execute("INSERT INTO pending VALUES (?, ?, ?) ON CONFLICT DO NOTHING", open_row)
        self._known = {*self._known, text} if len(self._known) < 1000 else {text}  # noqa: PLR2004 - they are short-lived

    def settle(self, attempt: Attempt) -> bool:
        """Replace what was held for an attempt by its cost, and record it. False if it was charged as lost before."""
        find = f"SELECT amount, scopes FROM reservations WHERE attempt_id = ?{self.database.lock}"
        with self._transaction() as execute:
            if (found := execute(find, (attempt.id,)).fetchone()) is None:
                return False
            amount, scopes = found[0], json.loads(found[1])
            if self.database.lock:
                self._lock(execute, scopes)
            change = f"UPDATE counters SET spent = spent + ?, held = held - ? WHERE scope IN ({marks(scopes)})"
            execute(change, (attempt.cost, amount, *scopes))
            execute("DELETE FROM reservations WHERE attempt_id = ?", (attempt.id,))
            insert(execute, attempt, _number(found[1]))
            kind = (attempt.started_at[:10], attempt.cost_center, attempt.model, attempt.prompt)
            execute(ROLL_UP, (*kind, attempt.input_tokens, attempt.output_tokens, attempt.cost))
        return True

    def record(self, interaction: Interaction, answer: tuple[str, str] | None = None) -> None:
        """Write down what became of an interaction, and keep its `answer` (key, text) for the cache."""
        with self._transaction() as execute:
            insert(execute, interaction)
            execute("DELETE FROM pending WHERE interaction_id = ?", (interaction.id,))
            if answer:
                change = "ON CONFLICT (key) DO UPDATE SET output = excluded.output, at = excluded.at"
                row = (answer[0], storable(answer[1]), time.time())
                execute(f"INSERT INTO answers VALUES (?, ?, ?) {change}", row)

    def recover(self, *, dead: bool = True) -> int:
        """Charge in full, as lost, what has expired and, if `dead`, what dead processes held. Returns how many."""
        with self._transaction(read_only=True) as execute:
            held = execute("SELECT amount, owner, expires_at, attempt FROM reservations").fetchall()
            open_ = execute("SELECT owner, interaction_id FROM pending").fetchall() if dead else []
        owners = {row[1] for row in held} | {row[0] for row in open_} if dead else set()
        gone = {owner for owner in owners if self.database.owner_is_dead(owner)}
        charged = 0
        for amount, owner, expires_at, text in held:
            if owner in gone or expires_at < time.time():
                attempt = read_json(Attempt, text)
                attempt.status, attempt.cost_basis, attempt.error = "lost", "assumed", "never settled"
                attempt.cost = attempt.reserved = amount
                charged += self.settle(attempt)  # once: whoever comes second finds no reservation
        for owner, interaction_id in open_:
            if owner in gone:
                self._record_lost(interaction_id)
        with self._transaction() as execute:
            execute("DELETE FROM answers WHERE at < ?", (time.time() - ANSWERS_KEPT,))
        return charged

    def _record_lost(self, interaction_id: str) -> None:
        find = f"SELECT interaction FROM pending WHERE interaction_id = ?{self.database.lock}"
        total = "SELECT count(*), CAST(coalesce(sum(cost), 0) AS BIGINT) FROM attempts WHERE interaction_id = ?"
        with self._transaction() as execute:
            if found := execute(find, (interaction_id,)).fetchone():
                lost = read_json(Interaction, found[0])
                lost.status, lost.error = "lost", "its process died"
                lost.calls, lost.cost = execute(total, (interaction_id,)).fetchone()
                insert(execute, lost)
                execute("DELETE FROM pending WHERE interaction_id = ?", (interaction_id,))

    # ---- Answers: of models, for the cache, and of people ----

    def cached(self, key: str, max_age: float) -> tuple[str, float] | None:
        """Return the remembered answer and its age in seconds, if it is not older."""
        with self._transaction(read_only=True) as execute:
            row = execute("SELECT output, at FROM answers WHERE key = ?", (key,)).fetchone()
        return (row[0], age) if row and (age := max(0.0, time.time() - row[1])) <= max_age else None

    def escalate(self, escalation: Escalation) -> str:
        """Put a question to a person, and return its id: that of the open one, where it has been asked already."""
        with self._transaction() as execute:
            insert(execute, escalation)
            find = "SELECT id FROM escalations WHERE key = ? AND answered_at = ''"
            return str(execute(find, (escalation.key,)).fetchone()[0])

    def answered(self, key: str) -> Escalation | None:
        """Return a person's newest answer to this question."""
        newest = "WHERE key = ? AND answered_at <> '' ORDER BY answered_at DESC LIMIT 1"
        return next(iter(select(self.database, Escalation, newest, key)), None)

    def answer(self, escalation_id: str, answer: str, by: str) -> None:
        """Answer an open escalation.

        Raises:
            LedgerError: There is none of this id, or it has been answered.
        """
        find = f"SELECT answered_at, answered_by FROM escalations WHERE id = ?{self.database.lock}"
        change = "UPDATE escalations SET answer = ?, answered_at = ?, answered_by = ? WHERE id = ?"
        with self._transaction() as execute:
            if (found := execute(find, (escalation_id,)).fetchone()) is None:
                raise LedgerError(f"there is no escalation {escalation_id!r}")
            if found[0]:
                raise LedgerError(f"escalation {escalation_id} has been answered by {found[1]}")
            execute(change, (storable(answer), now(), storable(by), escalation_id))

    # ---- Looking back ----

    def escalations(self, *, open_only: bool = True) -> list[Escalation]:
        """Return what people were asked, oldest first."""
        where = "WHERE answered_at = ''" if open_only else ""
        return select(self.database, Escalation, f"{where} ORDER BY id")

    def interactions(self, limit: int, **equal: str | None) -> list[Interaction]:
        """Return the newest interactions, of which the named fields have these values; None is any value."""
        filters = {name: value for name, value in equal.items() if value is not None}
        if unknown := filters.keys() - set(COLUMNS[Interaction]):
            raise LedgerError(f"interactions have no field {', '.join(sorted(unknown))}")
        where = "WHERE " + " AND ".join(f'"{name}" = ?' for name in filters) if filters else ""
        return select(self.database, Interaction, f"{where} ORDER BY id DESC LIMIT ?", *filters.values(), limit)

    def interaction(self, start_of_id: str) -> tuple[Interaction, list[Attempt]]:
        """Return an interaction and its attempts, in order. As much of its id is enough as only one id starts with.

        Raises:
            LedgerError: None does, or several do.
        """
        found = select(self.database, Interaction, "WHERE id >= ? AND id < ? LIMIT 2", start_of_id, start_of_id + "g")
        if len(found) != 1:
            raise LedgerError(f"{'several interactions start' if found else 'none starts'} with {start_of_id!r}")
        return found[0], select(self.database, Attempt, "WHERE interaction_id = ? ORDER BY number, id", found[0].id)

    def spend(self, by: Literal["cost_center", "model", "prompt", "day"], since: str | None = None) -> list[SpendRow]:
        """Return what was spent, the dearest first (days: in order), `since` a day such as 2026-11-23."""
        sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in ("calls", "input_tokens", "output_tokens", "cost"))
        order = "1" if by == "day" else "5 DESC, 1"
        query = f"SELECT {by}, {sums} FROM spend_by_day WHERE day >= ? GROUP BY 1 ORDER BY {order}"
        with self._transaction(read_only=True) as execute:
            return [SpendRow(*row) for row in execute(query, ((since or "")[:10],)).fetchall()]

    def check(self) -> list[str]:
        """Compare the counters with the rows behind them; what differs is told in a line each."""
        with self._transaction(read_only=True) as execute:
            counters = execute("SELECT scope, spent, held FROM counters ORDER BY scope").fetchall()
            paid = execute("SELECT scope_set, CAST(sum(cost) AS BIGINT) FROM attempts GROUP BY scope_set").fetchall()
            sets = dict(execute("SELECT id, scopes FROM scope_sets").fetchall())
            holds = execute("SELECT scopes, amount FROM reservations").fetchall()
            days = execute("SELECT CAST(coalesce(sum(cost), 0) AS BIGINT) FROM spend_by_day").fetchone()[0]
        spent, held = Counter[str](), Counter[str]()
        for number, cost in paid:
            spent.update(dict.fromkeys(json.loads(sets[number]), cost))
        for scopes, amount in holds:
            held.update(dict.fromkeys(json.loads(scopes), amount))
        told = [(f"{scope}, spent", counted, spent[scope]) for scope, counted, _ in counters]
        told += [(f"{scope}, held", counted, held[scope]) for scope, _, counted in counters]
        told += [("all days", days, sum(cost for _, cost in paid))]
        return [f"{what}: {dollars(one):f}, by rows {dollars(other):f}" for what, one, other in told if one != other]

    def _lock(self, execute: Execute, scopes: list[str]) -> Any:  # noqa: ANN401 - a cursor
        where = f"WHERE scope IN ({marks(scopes)}) ORDER BY scope{self.database.lock}"
        return execute(f"SELECT scope, spent, held FROM counters {where}", scopes)


def _number(scopes: str) -> int:
    """Stand for a set of scopes in each of its attempts, where its text would be half of the row."""
    return int.from_bytes(hashlib.sha256(scopes.encode()).digest()[:7])
