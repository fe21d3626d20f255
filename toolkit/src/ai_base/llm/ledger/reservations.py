"""Reservations: attempts that are not settled yet, and interactions that are not recorded yet."""

import json
import time
from typing import Any, NamedTuple

from ai_base.llm.ledger.database import Execute
from ai_base.llm.ledger.process_identity import is_dead, owner
from ai_base.llm.ledger.records import Attempt, Interaction
from ai_base.llm.ledger.schema import COLUMNS

LONGEST_INTERACTION = 86_400.0
"""Seconds after which an interaction of another host counts as lost."""

_INSERT = """INSERT INTO reservations (id, kind, owner, expires_at, record) VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""


class Lost(NamedTuple):
    """What dead processes left, and what has expired."""

    attempts: list[Attempt]
    interactions: list[Interaction]


async def add(execute: Execute, attempt: Attempt, interaction: Interaction, expires_in: float) -> None:
    """Add a reservation for the attempt, and one for its interaction unless there is one."""
    name, seconds = owner(), time.time()
    await execute(
        _INSERT,
        (
            *(attempt.id, "attempt", name, seconds + expires_in, json.dumps(vars(attempt))),
            *(interaction.id, "interaction", name, seconds + LONGEST_INTERACTION, json.dumps(vars(interaction))),
        ),
    )


async def take(execute: Execute, attempt: Attempt) -> bool:
    """Remove an attempt's reservation. False if there is none: it was settled before, or never made."""
    return bool(await execute("DELETE FROM reservations WHERE id = ? RETURNING id", (attempt.id,)))


async def close(execute: Execute, interaction: Interaction) -> None:
    """Remove an interaction's reservation, if there is one."""
    await execute("DELETE FROM reservations WHERE id = ?", (interaction.id,))


async def find_lost(execute: Execute) -> Lost:
    """Return what has expired and what belongs to a dead process."""
    lost = Lost([], [])
    for kind, held_by, expires_at, record in await execute("SELECT kind, owner, expires_at, record FROM reservations"):
        if expires_at > time.time() and not is_dead(held_by):
            continue
        if kind == "attempt":
            lost.attempts.append(Attempt(**_known_fields(Attempt, record)))
        else:
            lost.interactions.append(Interaction(**_known_fields(Interaction, record)))
    return lost


def _known_fields(kind: type, record: str) -> dict[str, Any]:
    """Return the fields that this version knows: another version may have written the record."""
    return {name: value for name, value in json.loads(record).items() if name in COLUMNS[kind]}
