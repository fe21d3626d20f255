"""The tables of the ledger, how they change from version to version, and how a record becomes a row."""

# ruff: noqa: S608 - no value is ever written into a statement

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ai_base.llm.errors import LedgerSchemaError
from ai_base.llm.ledger.database import Database, Execute
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, storable

type Record = Interaction | Attempt | Escalation

TABLES: dict[type, str] = {Interaction: "interactions", Attempt: "attempts", Escalation: "escalations"}
COLUMNS: dict[type, list[str]] = {kind: [field.name for field in fields(kind)] for kind in TABLES}
_TYPES: dict[Any, str] = {str: "TEXT NOT NULL", int: "BIGINT NOT NULL", float: "DOUBLE PRECISION NOT NULL"}


def _create(kind: type) -> str:
    columns = (f'"{field.name}" {_TYPES.get(field.type, "DOUBLE PRECISION")}' for field in fields(kind))
    return f"CREATE TABLE {TABLES[kind]} ({', '.join(columns)}, PRIMARY KEY (id))"


CREATE = (
    *map(_create, TABLES),
    "CREATE INDEX attempts_of ON attempts (interaction_id)",
    "CREATE INDEX escalations_by_key ON escalations (key)",
    "CREATE UNIQUE INDEX one_open_escalation ON escalations (key) WHERE answered_at = ''",
    "CREATE TABLE answers (key TEXT PRIMARY KEY, output TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)",
    "CREATE INDEX answers_by_age ON answers (at)",
    """CREATE TABLE counters (scope TEXT PRIMARY KEY, spent BIGINT NOT NULL CHECK (spent >= 0),
    held BIGINT NOT NULL CHECK (held >= 0))""",
    """CREATE TABLE unfinished (id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL, record TEXT NOT NULL)""",
    """CREATE TABLE spend_by_day (day TEXT NOT NULL, cost_center TEXT NOT NULL, model TEXT NOT NULL,
    prompt TEXT NOT NULL, calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    cost BIGINT NOT NULL, PRIMARY KEY (day, cost_center, model, prompt))""",
)
"""What a new database gets. `unfinished` holds reservations, and interactions that are under way."""

MIGRATIONS: tuple[tuple[str, ...], ...] = ()
"""What one that is there gets: the steps that it has not taken. Whoever edits CREATE or a record adds the step here."""

ROLL_UP = """INSERT INTO spend_by_day VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (day, cost_center, model, prompt)
DO UPDATE SET calls = spend_by_day.calls + 1, input_tokens = spend_by_day.input_tokens + excluded.input_tokens,
output_tokens = spend_by_day.output_tokens + excluded.output_tokens, cost = spend_by_day.cost + excluded.cost"""


async def migrate(database: Database) -> None:
    """Bring a database up to date, all steps or none; of two processes at once, one does it and one waits.

    Raises:
        LedgerSchemaError: It is newer than this code; it is left as it is.
    """
    async with database.transaction() as execute:
        await execute(database.exclusive)
        await execute("CREATE TABLE IF NOT EXISTS schema (version BIGINT NOT NULL)")
        [[found]] = await execute("SELECT max(version) FROM schema")
        steps = [step for each in MIGRATIONS[(found or 1) - 1 :] for step in each]
        if found is None:
            tables = (TABLES[Interaction], TABLES[Attempt])
            steps = [*CREATE, *(each.format(table) for table in tables for each in database.append_only)]
        elif found > len(MIGRATIONS) + 1:
            raise LedgerSchemaError(found, len(MIGRATIONS) + 1)
        for step in steps:
            await execute(step)
        if found != len(MIGRATIONS) + 1:
            await execute("INSERT INTO schema VALUES (?)", (len(MIGRATIONS) + 1,))


def marks(values: Sequence[object]) -> str:
    """Hold a place in a statement for each value."""
    return ", ".join("?" * len(values))


_NAMES = {kind: ", ".join(f'"{name}"' for name in names) for kind, names in COLUMNS.items()}
_INSERT = {kind: f"INSERT INTO {TABLES[kind]} ({_NAMES[kind]}) VALUES ({marks(COLUMNS[kind])})" for kind in TABLES}


async def insert(execute: Execute, record: Record, *, once: bool = False) -> None:
    """Add a row; with `once`, one that is there stays as it is (so does an open escalation of the same key)."""
    values = [storable(value) for value in vars(record).values()]
    await execute(_INSERT[type(record)] + " ON CONFLICT DO NOTHING" * once, values)


async def select[R](database: Database, kind: type[R], where: str, *values: object) -> list[R]:
    """Read rows as records."""
    async with database.transaction(read_only=True) as execute:
        return [
            kind(*row)
            for row in await execute(f"SELECT {_NAMES[kind]} FROM {TABLES[kind]} {where}", [*map(storable, values)])
        ]
