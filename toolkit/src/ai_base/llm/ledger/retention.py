"""Retention: deletes old rows and erases a user, while counters and the spend by day keep their numbers.

Triggers forbid changes to attempts and interactions. They make an exception for a transaction that has put a row into
the table `pruning`; the row is deleted before the transaction ends, so no other transaction ever sees it.
"""

# ruff: noqa: S608 - values are never formatted into a statement, only table names

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.database import Database, Execute

CHUNK = 500
"""Rows in one transaction, so that calls in flight are not kept waiting."""


@dataclass
class Pruned:
    """How many rows were deleted, or cleared of a user's texts."""

    interactions: int = 0
    attempts: int = 0
    escalations: int = 0


async def delete_old(database: Database, before: str) -> Pruned:
    """Delete attempts, interactions and escalations from before a time."""
    async with _pruning(database) as execute:
        await execute("INSERT INTO pruned (before) VALUES (?)", (before,))
    pruned = Pruned(
        interactions=await _delete(database, before, "interactions", "started_at < ?"),
        attempts=await _delete(database, before, "attempts", "started_at < ?"),
        escalations=await _delete(database, before, "escalations", "created_at < ?"),
    )
    await _delete(database, before, "steps", "started_at < ?")
    await database.checkpoint()
    return pruned


async def erase_user(database: Database, user: str) -> Pruned:
    """Remove a user's texts and name from every row. Cost and tokens stay, without the user.

    The user's counters are deleted: a cap on this user starts anew.

    Raises:
        LedgerError: A call of this user is in flight.
    """
    interactions_of_user = '(SELECT id FROM interactions WHERE "user" = ?)'
    async with _pruning(database) as execute:
        prefix = f"user {user}, "
        counters = await execute(
            "SELECT scope, held FROM counters WHERE substr(scope, 1, ?) = ?", (len(prefix), prefix)
        )
        for key, held in counters:
            if held:
                raise LedgerError(f"user {user!r} has calls in flight; try again when they have ended")
            if key.rpartition(", ")[0] == f"user {user}":  # another user's name may begin like this one
                await execute("DELETE FROM counters WHERE scope = ?", (key,))
        erased = f"DELETE FROM escalations WHERE interaction_id IN {interactions_of_user} RETURNING id"
        escalations = await execute(erased, (user,))
        await execute(f"DELETE FROM steps WHERE interaction_id IN {interactions_of_user}", (user,))
        erased = "UPDATE attempts SET \"user\" = '', error = '' WHERE \"user\" = ? RETURNING id"
        attempts = await execute(erased, (user,))
        erased = """UPDATE interactions SET "user" = '', correlation_id = '', request = '', response = '', error = '',
        cache_key = '' WHERE "user" = ? RETURNING id"""
        interactions = await execute(erased, (user,))
    await database.checkpoint()
    return Pruned(len(interactions), len(attempts), len(escalations))


async def _delete(database: Database, before: str, table: str, condition: str) -> int:
    oldest = f"SELECT id FROM {table} WHERE {condition} ORDER BY id LIMIT ?"
    chunk = f"DELETE FROM {table} WHERE id IN ({oldest}) RETURNING id"
    deleted = 0
    while True:
        async with _pruning(database) as execute:
            rows = await execute(chunk, (before, CHUNK))
        deleted += len(rows)
        if len(rows) < CHUNK:
            return deleted


@asynccontextmanager
async def _pruning(database: Database) -> AsyncIterator[Execute]:
    """A transaction that may change attempts and interactions."""
    async with database.transaction() as execute:
        await execute("INSERT INTO pruning (active) VALUES (1)")
        yield execute
        await execute("DELETE FROM pruning")
