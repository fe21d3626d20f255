"""The tables of the ledger, how they change from version to version, and how a record becomes a row.

A version is (major, minor). A minor version adds tables or columns with defaults: a process of an older minor version
can use the database as well. A major version changes what an older process relies on, which is then refused.
"""

# ruff: noqa: S608 - values are never formatted into a statement, only column names

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from ai_base.llm.errors import LedgerSchemaError
from ai_base.llm.ledger.database import Database, Execute
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, storable

type Record = Interaction | Attempt | Escalation

TABLES: dict[type, str] = {Interaction: "interactions", Attempt: "attempts", Escalation: "escalations"}
COLUMNS: dict[type, list[str]] = {kind: [field.name for field in fields(kind)] for kind in TABLES}
# Each column has a default: an older process does not know the columns of a newer version when it inserts a row.
_TYPES: dict[Any, str] = {
    str: "TEXT NOT NULL DEFAULT ''",
    int: "BIGINT NOT NULL DEFAULT 0",
    float: "DOUBLE PRECISION NOT NULL DEFAULT 0",
    bool: "BOOLEAN NOT NULL DEFAULT FALSE",
}
_RESERVED_BY = ("owner TEXT NOT NULL DEFAULT ''", "expires_at DOUBLE PRECISION NOT NULL DEFAULT 0")


def _create(kind: type, *more: str) -> str:
    columns = [f'"{field.name}" {_TYPES.get(field.type, "DOUBLE PRECISION")}' for field in fields(kind)]
    return f"CREATE TABLE {TABLES[kind]} ({', '.join([*columns, *more])}, PRIMARY KEY (id))"


CREATE = (
    _create(Interaction, *_RESERVED_BY),
    _create(Attempt, *_RESERVED_BY),
    _create(Escalation),
    "CREATE INDEX attempts_of ON attempts (interaction_id)",
    "CREATE INDEX open_attempts ON attempts (expires_at) WHERE owner <> ''",
    "CREATE INDEX open_interactions ON interactions (expires_at) WHERE owner <> ''",
    "CREATE INDEX cached_answers ON interactions (cache_key) WHERE cache_key <> ''",
    "CREATE INDEX escalations_by_key ON escalations (key)",
    "CREATE UNIQUE INDEX one_open_escalation ON escalations (key) WHERE answered_at = ''",
    """CREATE TABLE counters (scope TEXT PRIMARY KEY, expires TEXT NOT NULL, spent BIGINT NOT NULL,
    held BIGINT NOT NULL)""",
    """CREATE TABLE spend_by_day (day TEXT NOT NULL, cost_center TEXT NOT NULL, model TEXT NOT NULL,
    prompt TEXT NOT NULL, calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    cost BIGINT NOT NULL, PRIMARY KEY (day, cost_center, model, prompt))""",
    "CREATE TABLE pruning (active BIGINT NOT NULL)",
    "CREATE TABLE pruned (before TEXT NOT NULL)",
)
"""What a new database gets.

An open attempt is a reservation: `owner` names the process that holds it, and is empty once it is settled. An open
interaction has an owner too. Settled rows do not change. `pruning` has a row inside a transaction that may delete
settled rows, and never outside of it; `pruned` has the time before which attempts were deleted.
"""


class Migration(NamedTuple):
    """The statements that bring a database to a version."""

    version: tuple[int, int]
    steps: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (Migration((1, 0), ()),)
"""What an existing database gets. A change of CREATE or of a record needs a new entry."""


async def migrate(database: Database) -> None:
    """Bring a database up to date, all steps or none; of two processes at once, one migrates and one waits.

    Raises:
        LedgerSchemaError: Its major version is newer than this code; it is left as it is.
    """
    newest = MIGRATIONS[-1].version
    async with database.transaction() as execute:
        await execute(database.exclusive)
        await execute("CREATE TABLE IF NOT EXISTS schema (major BIGINT NOT NULL, minor BIGINT NOT NULL)")
        versions = await execute("SELECT major, minor FROM schema ORDER BY major DESC, minor DESC LIMIT 1")
        if not versions:
            for statement in CREATE:
                await execute(statement)
            for table in (TABLES[Interaction], TABLES[Attempt]):
                for statement in database.only_insert:
                    await execute(statement.format(table))
            await execute("INSERT INTO schema (major, minor) VALUES (?, ?)", newest)
            return
        found = (versions[0][0], versions[0][1])
        if found[0] > newest[0]:
            raise LedgerSchemaError(found[0], newest[0])
        for migration in MIGRATIONS:
            if migration.version > found:
                for step in migration.steps:
                    await execute(step)
                await execute("INSERT INTO schema (major, minor) VALUES (?, ?)", migration.version)


# ---- Rows ----


def marks(values: Sequence[object]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("?" * len(values))


_NAMES = {kind: ", ".join(f'"{name}"' for name in names) for kind, names in COLUMNS.items()}
_ASSIGNMENTS = {kind: ", ".join(f'"{name}" = ?' for name in names) for kind, names in COLUMNS.items()}
_EXCLUDED = {kind: ", ".join(f'"{name}" = excluded."{name}"' for name in names) for kind, names in COLUMNS.items()}
_INSERT = {kind: f"INSERT INTO {TABLES[kind]} ({_NAMES[kind]}) VALUES ({marks(COLUMNS[kind])})" for kind in TABLES}
_RESERVE = {
    kind: f"INSERT INTO {TABLES[kind]} ({_NAMES[kind]}, owner, expires_at) VALUES ({marks(COLUMNS[kind])}, ?, ?)"
    for kind in (Interaction, Attempt)
}


def values_of(record: Record) -> list[object]:
    """Return the values of a row, in the order of the columns."""
    return [storable(value) for value in vars(record).values()]


async def insert_escalation(execute: Execute, escalation: Escalation) -> None:
    """Add an escalation unless one with the same key is open."""
    await execute(f"{_INSERT[Escalation]} ON CONFLICT DO NOTHING", values_of(escalation))


async def reserve(execute: Execute, attempt: Attempt, owner: str, expires_at: float) -> None:
    """Add an open attempt."""
    await execute(_RESERVE[Attempt], [*values_of(attempt), owner, expires_at])


async def open_interaction(execute: Execute, interaction: Interaction, owner: str, expires_at: float) -> None:
    """Add an open interaction; one that is there already stays as it is."""
    values = [*values_of(interaction), owner, expires_at]
    await execute(f"{_RESERVE[Interaction]} ON CONFLICT (id) DO NOTHING", values)


async def settle(execute: Execute, attempt: Attempt) -> bool:
    """Complete an open attempt. False if there is none of this id: it was settled before, or never reserved."""
    change = f"UPDATE attempts SET {_ASSIGNMENTS[Attempt]}, owner = '' WHERE id = ? AND owner <> '' RETURNING id"
    return bool(await execute(change, [*values_of(attempt), attempt.id]))


async def complete_interaction(execute: Execute, interaction: Interaction) -> None:
    """Complete an open interaction, or add one that made no attempt. A completed one stays as it is."""
    change = f"ON CONFLICT (id) DO UPDATE SET {_EXCLUDED[Interaction]}, owner = '' WHERE interactions.owner <> ''"
    await execute(f"{_INSERT[Interaction]} {change}", values_of(interaction))


async def select[R](execute: Execute, kind: type[R], where: str, *values: object) -> list[R]:
    """Read rows as records."""
    rows = await execute(f"SELECT {_NAMES[kind]} FROM {TABLES[kind]} {where}", [storable(value) for value in values])
    return [kind(*row) for row in rows]
