"""Retention: deletes old rows and erases a user, while counters and the spend by day keep their numbers.

Triggers forbid changes to attempts and interactions. They make an exception for a transaction that has put a row into
the table `pruning`; the row is deleted before the transaction ends, so no other transaction ever sees it.
"""

# ruff: noqa: S608 - values are never formatted into a statement, only table and column names

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.counters import month_end
from ai_base.llm.ledger.database import Database, Execute
from ai_base.llm.ledger.records import now

CHUNK = 500
"""Interactions whose rows are deleted in one transaction, so that calls in flight are not kept waiting."""

_MIDNIGHT = "T00:00:00.000000+00:00"

_UNFINISHED = """(SELECT interaction_id FROM escalations WHERE answered_at = ''
UNION SELECT id FROM reservations WHERE kind = 'interaction')"""
"""Interactions that wait for a person or are in progress. Their rows are kept."""

# Per table: the column in whose order it is read, which its primary key begins with, and which rows are deleted.
_OLD = {
    "interactions": ("id", f"started_at < ? AND id NOT IN {_UNFINISHED}"),
    "attempts": ("interaction_id", f"started_at < ? AND interaction_id NOT IN {_UNFINISHED}"),
    "escalations": ("id", "created_at < ? AND answered_at <> ''"),
    "steps": ("id", f"started_at < ? AND interaction_id NOT IN {_UNFINISHED}"),
}
_OF_USER = {
    "interactions": '"user" = ?',
    "attempts": '"user" = ?',
    "escalations": 'interaction_id IN (SELECT id FROM interactions WHERE "user" = ?)',
    "steps": 'interaction_id IN (SELECT id FROM interactions WHERE "user" = ?)',
}


@dataclass
class Pruned:
    """How many rows were deleted, or cleared of a user's texts and name; in a dry run, how many would be."""

    interactions: int = 0
    attempts: int = 0
    escalations: int = 0
    steps: int = 0
    kept: int = 0
    """Old interactions that were kept, because they wait for a person or are in progress."""


async def delete_old(database: Database, before: str, *, dry_run: bool) -> Pruned:
    """Delete attempts, interactions, answered escalations and agents' steps from before a time.

    Raises:
        LedgerError: `before` is no time, or lies in the future.
    """
    before = _time_stamp(before)
    async with database.transaction(read_only=True) as execute:
        found = {table: await _count(execute, table, condition, before) for table, (_, condition) in _OLD.items()}
        all_old = await _count(execute, "interactions", "started_at < ?", before)
    pruned = Pruned(**found, kept=all_old - found["interactions"])
    if dry_run:
        return pruned
    async with _pruning(database) as execute:
        await execute("INSERT INTO pruned (before) VALUES (?)", (before.removesuffix(_MIDNIGHT),))
    for table in _OLD:
        setattr(pruned, table, await _delete(database, table, before))
    await database.checkpoint()
    return pruned


async def erase_user(database: Database, user: str, *, dry_run: bool) -> Pruned:
    """Remove a user's texts and name from every row. Cost and tokens stay, without the user.

    Counters of the user in periods that are over are deleted. Those of the current periods go on counting towards the
    caps on the user; they are deleted when the month ends.

    Raises:
        LedgerError: A call of this user is in flight, or a question of theirs waits for a person.
    """
    async with _pruning(database) as execute:
        await _require_finished(execute, user)
        pruned = Pruned(**{table: await _count(execute, table, where, user) for table, where in _OF_USER.items()})
        if dry_run:
            return pruned
        await _expire_counters(execute, user)
        for table in ("escalations", "steps"):
            await execute(f"DELETE FROM {table} WHERE {_OF_USER[table]}", (user,))
        await execute("UPDATE attempts SET \"user\" = '', error = '' WHERE \"user\" = ?", (user,))
        erased = """UPDATE interactions SET "user" = '', correlation_id = '', request = '', response = '', error = '',
        cache_key = '' WHERE "user" = ?"""
        await execute(erased, (user,))
    await database.checkpoint()
    return pruned


def _time_stamp(text: str) -> str:
    """Write a time as the ledger's records have it, so that the texts compare as the times do."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise LedgerError(f"{text!r} is no time; give a day such as 2026-11-23") from None
    stamp = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
    if stamp > now():
        raise LedgerError(f"{text} lies in the future; only what is over can be deleted")
    return stamp


async def _require_finished(execute: Execute, user: str) -> None:
    for (record,) in await execute("SELECT record FROM reservations"):
        if json.loads(record)["user"] == user:
            raise LedgerError(f"user {user!r} has calls in flight; try again when they have ended")
    if await _count(execute, "escalations", f"answered_at = '' AND {_OF_USER['escalations']}", user):
        raise LedgerError(f"a question of user {user!r} waits for a person; answer it first: escalations list")


async def _expire_counters(execute: Execute, user: str) -> None:
    at, prefix = now(), f"user {user}, "
    end = month_end(at)
    found = await execute("SELECT scope FROM counters WHERE substr(scope, 1, ?) = ?", (len(prefix), prefix))
    for (key,) in found:
        subject, _, period = key.rpartition(", ")
        if subject != f"user {user}":  # another user's name may begin like this one
            continue
        if at.startswith(period.rpartition(" ")[2]):
            await execute("UPDATE counters SET expires = ? WHERE scope = ?", (end, key))
        else:
            await execute("DELETE FROM counters WHERE scope = ?", (key,))


async def _count(execute: Execute, table: str, condition: str, value: str) -> int:
    [[count]] = await execute(f"SELECT count(*) FROM {table} WHERE {condition}", (value,))
    return int(count)


async def _delete(database: Database, table: str, before: str) -> int:
    """Delete the old rows of a table in chunks, in the order of its primary key: the table is read once."""
    key, condition = _OLD[table]
    next_keys = f"SELECT DISTINCT {key} FROM {table} WHERE {key} > ? AND {condition} ORDER BY {key} LIMIT ?"
    deleted, last = 0, ""
    while keys := [found for (found,) in await database.execute(next_keys, (last, before, CHUNK))]:
        last = keys[-1]
        chunk = f"DELETE FROM {table} WHERE {key} IN ({', '.join('?' * len(keys))}) AND {condition} RETURNING id"
        async with _pruning(database) as execute:
            deleted += len(await execute(chunk, (*keys, before)))
    return deleted


@asynccontextmanager
async def _pruning(database: Database) -> AsyncIterator[Execute]:
    """A transaction that may change attempts and interactions."""
    async with database.transaction() as execute:
        await execute("INSERT INTO pruning (active) VALUES (1)")
        yield execute
        await execute("DELETE FROM pruning")
