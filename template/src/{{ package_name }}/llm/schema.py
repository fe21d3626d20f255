"""The tables of the ledger, step by step, and how a record becomes a row of them."""

# ruff: noqa: S608 - no value is ever written into a statement

import json
from collections.abc import Sequence
from dataclasses import fields

from .errors import LedgerSchemaError
from .records import Attempt, Escalation, Interaction
from .storage import Database, Execute

type Record = Interaction | Attempt | Escalation

TABLES: dict[type, str] = {Interaction: "interactions", Attempt: "attempts", Escalation: "escalations"}

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE interactions (id TEXT PRIMARY KEY, started_at TEXT NOT NULL, prompt TEXT NOT NULL,
        prompt_version TEXT NOT NULL, chain TEXT NOT NULL, output_type TEXT NOT NULL, cost_center TEXT NOT NULL,
        "user" TEXT NOT NULL, correlation_id TEXT NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL,
        model TEXT NOT NULL, source TEXT NOT NULL, status TEXT NOT NULL, error TEXT NOT NULL,
        confidence DOUBLE PRECISION, calls BIGINT NOT NULL, cost BIGINT NOT NULL,
        latency_ms DOUBLE PRECISION NOT NULL)""",
        """CREATE TABLE attempts (id TEXT PRIMARY KEY, interaction_id TEXT NOT NULL, number BIGINT NOT NULL,
        candidate TEXT NOT NULL, started_at TEXT NOT NULL, cost_center TEXT NOT NULL, prompt TEXT NOT NULL,
        model TEXT NOT NULL, status TEXT NOT NULL, error TEXT NOT NULL, reserved BIGINT NOT NULL,
        cost BIGINT NOT NULL CHECK (cost >= 0), cost_basis TEXT NOT NULL, input_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL, latency_ms DOUBLE PRECISION NOT NULL, queue_ms DOUBLE PRECISION NOT NULL,
        context_used DOUBLE PRECISION, limit_left DOUBLE PRECISION, breaker TEXT NOT NULL,
        scope_set BIGINT NOT NULL)""",
        "CREATE INDEX attempts_of ON attempts (interaction_id)",
        """CREATE TABLE escalations (id TEXT PRIMARY KEY, interaction_id TEXT NOT NULL, created_at TEXT NOT NULL,
        key TEXT NOT NULL, reason TEXT NOT NULL, prompt TEXT NOT NULL, request TEXT NOT NULL, draft TEXT NOT NULL,
        output_type TEXT NOT NULL, answer TEXT NOT NULL, answered_at TEXT NOT NULL, answered_by TEXT NOT NULL)""",
        "CREATE INDEX escalations_by_key ON escalations (key)",
        "CREATE UNIQUE INDEX one_open_escalation ON escalations (key) WHERE answered_at = ''",
        "CREATE TABLE answers (key TEXT PRIMARY KEY, output TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)",
        "CREATE INDEX answers_by_age ON answers (at)",
        """CREATE TABLE counters (scope TEXT PRIMARY KEY, spent BIGINT NOT NULL CHECK (spent >= 0),
        held BIGINT NOT NULL CHECK (held >= 0))""",
        "CREATE TABLE scope_sets (id BIGINT PRIMARY KEY, scopes TEXT NOT NULL)",
        """CREATE TABLE reservations (attempt_id TEXT PRIMARY KEY, amount BIGINT NOT NULL CHECK (amount >= 0),
        owner TEXT NOT NULL, expires_at DOUBLE PRECISION NOT NULL, scopes TEXT NOT NULL, attempt TEXT NOT NULL)""",
        "CREATE TABLE pending (interaction_id TEXT PRIMARY KEY, owner TEXT NOT NULL, interaction TEXT NOT NULL)",
        """CREATE TABLE spend_by_day (day TEXT NOT NULL, cost_center TEXT NOT NULL, model TEXT NOT NULL,
        prompt TEXT NOT NULL, calls BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        cost BIGINT NOT NULL, PRIMARY KEY (day, cost_center, model, prompt))""",
        "append-only interactions",
        "append-only attempts",
    ),
)
"""Add steps, never edit one: a database takes each of them once."""


ROLL_UP = """INSERT INTO spend_by_day VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (day, cost_center, model, prompt)
DO UPDATE SET calls = spend_by_day.calls + 1, input_tokens = spend_by_day.input_tokens + excluded.input_tokens,
output_tokens = spend_by_day.output_tokens + excluded.output_tokens, cost = spend_by_day.cost + excluded.cost"""


def migrate(database: Database) -> None:
    """Bring a database up to date, all steps or none; of two processes at once, one does it and one waits.

    Raises:
        LedgerSchemaError: It is newer than this code; it is left as it is.
    """
    with database.transaction() as execute:
        execute(database.lock_all)
        execute("CREATE TABLE IF NOT EXISTS schema (version BIGINT NOT NULL)")
        found = execute("SELECT max(version) FROM schema").fetchone()[0] or 0
        if found > len(MIGRATIONS):
            raise LedgerSchemaError(found, len(MIGRATIONS))
        for version, step in enumerate(MIGRATIONS[found:], found + 1):
            for statement in step:
                before, append_only, table = statement.partition("append-only ")
                for each in database.append_only if append_only else [before]:
                    execute(each.format(table))
            execute("INSERT INTO schema VALUES (?)", (version,))


def marks(values: Sequence[object]) -> str:
    """Hold a place in a statement for each value."""
    return ", ".join("?" * len(values)) or "NULL"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


COLUMNS: dict[type, list[str]] = {kind: [field.name for field in fields(kind)] for kind in TABLES}
_WRITTEN = COLUMNS | {Attempt: [*COLUMNS[Attempt], "scope_set"]}
_INSERT = {
    kind: f"INSERT INTO {TABLES[kind]} ({_quoted(names)}) VALUES ({marks(names)})"
    + " ON CONFLICT DO NOTHING" * (kind is not Attempt)
    for kind, names in _WRITTEN.items()
}


def insert(execute: Execute, record: Record, *scope_set: int) -> None:
    """Add a row. An interaction that is there stays as it is, and so does an open escalation of the same key."""
    execute(_INSERT[type(record)], [*map(storable, vars(record).values()), *scope_set])


def select[R](database: Database, kind: type[R], where: str, *values: object) -> list[R]:
    """Read rows as records."""
    with database.transaction(read_only=True) as execute:
        rows = execute(f"SELECT {_quoted(COLUMNS[kind])} FROM {TABLES[kind]} {where}", values).fetchall()
    return [kind(*row) for row in rows]


def read_json[R](kind: type[R], text: str) -> R:
    """Read a record that another version may have written."""
    return kind(**{name: value for name, value in json.loads(text).items() if name in COLUMNS[kind]})


def storable(value: object) -> object:
    """Make a text one that every database takes: valid UTF-8 without NUL."""
    if isinstance(value, str) and not (value.isascii() and "\0" not in value):
        return value.encode(errors="replace").decode().replace("\0", "\ufffd")
    return value
