"""The tables of the ledger, how they change from version to version, and how a record becomes a row.

A version is (major, minor). A minor version adds tables or columns with defaults: a process of an older minor version
can use the database as well. A major version changes what an older process relies on, which is then refused.
"""

# ruff: noqa: S608 - values are never formatted into a statement, only column names

from dataclasses import fields
from typing import Any, NamedTuple

from ai_base.llm.errors import LedgerSchemaError
from ai_base.llm.ledger.database import Database, Execute
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, Step, storable

type Record = Interaction | Attempt | Escalation | Step

TABLES: dict[type, str] = {
    Interaction: "interactions",
    Attempt: "attempts",
    Escalation: "escalations",
    Step: "steps",
}
COLUMNS: dict[type, list[str]] = {kind: [field.name for field in fields(kind)] for kind in TABLES}
# Each column has a default: an older process does not know the columns of a newer version when it inserts a row.
_TYPES: dict[Any, str] = {
    str: "TEXT NOT NULL DEFAULT ''",
    int: "BIGINT NOT NULL DEFAULT 0",
    float: "DOUBLE PRECISION NOT NULL DEFAULT 0",
    bool: "BOOLEAN NOT NULL DEFAULT FALSE",
}


def _columns(kind: type) -> str:
    columns = [f'"{field.name}" {_TYPES.get(field.type, "DOUBLE PRECISION")}' for field in fields(kind)]
    return ", ".join(columns)


_STEPS = (
    f"CREATE TABLE steps ({_columns(Step)}, PRIMARY KEY (id))",
    "CREATE INDEX steps_by_run ON steps (run_id)",
    "CREATE INDEX steps_by_interaction ON steps (interaction_id)",
)

CREATE = (
    f"CREATE TABLE interactions ({_columns(Interaction)}, PRIMARY KEY (id))",
    "CREATE INDEX cached_answers ON interactions (cache_key) WHERE cache_key <> ''",
    f"CREATE TABLE attempts ({_columns(Attempt)}, PRIMARY KEY (interaction_id, id)){{clustered}}",
    f"CREATE TABLE escalations ({_columns(Escalation)}, PRIMARY KEY (id))",
    "CREATE INDEX escalations_by_key ON escalations (key)",
    "CREATE UNIQUE INDEX one_open_escalation ON escalations (key) WHERE answered_at = ''",
    """CREATE TABLE counters (scope TEXT PRIMARY KEY, expires TEXT NOT NULL, spent BIGINT NOT NULL,
    held BIGINT NOT NULL){clustered}""",
    """CREATE TABLE reservations (id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL, record TEXT NOT NULL){clustered}""",
    """CREATE TABLE spend_by_day (day TEXT NOT NULL, cost_center TEXT NOT NULL, model TEXT NOT NULL,
    prompt TEXT NOT NULL, calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    cost BIGINT NOT NULL, PRIMARY KEY (day, cost_center, model, prompt)){clustered}""",
    "CREATE TABLE pruning (active BIGINT NOT NULL)",
    "CREATE TABLE pruned (before TEXT NOT NULL)",
    *_STEPS,
)
"""What a new database gets.

`reservations` holds attempts until they are settled, and interactions until they are recorded, as JSON. Rows of
`attempts` and `interactions` do not change. `pruning` has a row only inside a transaction that may delete them;
`pruned` has the times before which attempts were deleted.
"""


class Migration(NamedTuple):
    """The statements that bring a database to a version."""

    version: tuple[int, int]
    steps: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration((1, 0), ()),
    Migration((1, 1), (f"ALTER TABLE escalations ADD COLUMN used_at {_TYPES[str]}", *_STEPS)),
)
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
                await execute(statement.replace("{clustered}", database.clustered))
            for table in (TABLES[Interaction], TABLES[Attempt]):
                for statement in database.append_only:
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

_NAMES = {kind: ", ".join(f'"{name}"' for name in names) for kind, names in COLUMNS.items()}
_INSERT = {
    kind: f"INSERT INTO {TABLES[kind]} ({_NAMES[kind]}) VALUES ({', '.join('?' * len(COLUMNS[kind]))})"
    for kind in TABLES
}


async def insert(execute: Execute, record: Record, *, once: bool = False) -> None:
    """Add a row. With `once`, a row of the same id, or an open escalation of the same key, is kept instead."""
    statement = f"{_INSERT[type(record)]} ON CONFLICT DO NOTHING" if once else _INSERT[type(record)]
    await execute(statement, [storable(value) for value in vars(record).values()])


async def select[R](execute: Execute, kind: type[R], where: str, *values: object) -> list[R]:
    """Read rows as records."""
    rows = await execute(f"SELECT {_NAMES[kind]} FROM {TABLES[kind]} {where}", [storable(value) for value in values])
    return [kind(*row) for row in rows]
