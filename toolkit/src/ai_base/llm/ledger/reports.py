"""Queries: interactions, stored answers, spend."""

# ruff: noqa: S608 - values are never formatted into a statement, only column names

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.database import Execute
from ai_base.llm.ledger.records import Attempt, Interaction
from ai_base.llm.ledger.schema import COLUMNS, select


class SpendRow(NamedTuple):
    """The spend under one name; `cost` in nanodollars."""

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int


async def total(execute: Execute, interaction_id: str) -> tuple[int, int]:
    """Return the number of an interaction's attempts, and their cost."""
    query = """SELECT count(*), CAST(coalesce(sum(cost), 0) AS BIGINT) FROM attempts
    WHERE interaction_id = ?"""
    [[calls, cost]] = await execute(query, (interaction_id,))
    return calls, cost


async def cached(execute: Execute, key: str, max_age: float) -> str | None:
    """Return the newest response with this `cache_key`, unless it is older than `max_age` seconds."""
    query = "SELECT response, started_at FROM interactions WHERE cache_key = ? ORDER BY id DESC LIMIT 1"
    rows = await execute(query, (key,))
    if not rows:
        return None
    response, started_at = rows[0]
    age = datetime.now(UTC) - datetime.fromisoformat(started_at)
    return response if age.total_seconds() <= max_age else None


async def interactions(execute: Execute, limit: int, equal: Mapping[str, str | None]) -> list[Interaction]:
    """Return the newest interactions whose named fields have these values; None matches any value."""
    filters = {name: value for name, value in equal.items() if value is not None}
    if unknown := filters.keys() - set(COLUMNS[Interaction]):
        raise LedgerError(f"interactions have no field {', '.join(sorted(unknown))}")
    conditions = " AND ".join(f'"{name}" = ?' for name in filters)
    where = f"WHERE {conditions}" if filters else ""
    return await select(execute, Interaction, f"{where} ORDER BY id DESC LIMIT ?", *filters.values(), limit)


async def interaction(execute: Execute, start_of_id: str) -> tuple[Interaction, list[Attempt]]:
    """Return an interaction and its attempts, in order. An unambiguous beginning of its id is enough.

    Raises:
        LedgerError: No id, or several, begin like this.
    """
    starts = "WHERE id >= ? AND id < ? LIMIT 2"
    found = await select(execute, Interaction, starts, start_of_id, start_of_id + "g")  # "g" follows the last digit
    if not found:
        raise LedgerError(f"no interaction starts with {start_of_id!r}")
    if len(found) > 1:
        raise LedgerError(f"several interactions start with {start_of_id!r}")
    attempts = "WHERE interaction_id = ? ORDER BY number, id"
    return found[0], await select(execute, Attempt, attempts, found[0].id)


async def spend(execute: Execute, by: Literal["cost_center", "model", "prompt", "day"], since: str) -> list[SpendRow]:
    """Return the spend `since` a day such as 2026-11-23, highest first (days: in order)."""
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in SpendRow._fields[1:])
    order = "1" if by == "day" else "5 DESC, 1"
    query = f"SELECT {by}, {sums} FROM spend_by_day WHERE day >= ? GROUP BY 1 ORDER BY {order}"
    return [SpendRow(*row) for row in await execute(query, (since[:10],))]
