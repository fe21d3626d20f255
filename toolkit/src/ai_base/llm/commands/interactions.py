"""The commands `interactions` and `replay`."""

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from ai_base.cli import echo
from ai_base.llm.commands.opened_ledger import with_ledger
from ai_base.llm.commands.tables import money, one_line, print_table, terminal_width
from ai_base.llm.commands.trace import tree
from ai_base.llm.errors import LLMError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Attempt, Interaction, Step
from ai_base.llm.money import dollars
from ai_base.llm.settings import LLMSettings
from ai_base.settings import find_root, load_settings

type Status = Literal["ok", "failed", "refused", "lost"]
type Source = Literal["model", "cache", "fallback", "human"]

SHORT_ID = 12
"""Hexadecimal digits of an id that a table shows: they count time in units of 66 microseconds."""

AMOUNTS = ("cost", "reserved")


def interactions(  # noqa: PLR0913, PLR0917 - the filters
    interaction_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show this one in full; the start of its id is enough.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    cost_center: Annotated[str | None, typer.Option(help="Only of this cost centre.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Only of this prompt.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only with status: ok, failed, refused or lost.")] = None,
    source: Annotated[Source | None, typer.Option(help="Only answered by: model, cache, fallback or human.")] = None,
    trace: Annotated[bool, typer.Option(help="Show the steps of an agent's run as a tree. Needs an ID.")] = False,
) -> None:
    """List interactions, or show one with all its attempts."""
    if trace:
        if interaction_id is None:
            raise typer.BadParameter("name the interaction: interactions ID --trace", param_hint="--trace")
        _show_trace(interaction_id)
        return
    if interaction_id is not None:
        _show(*with_ledger(lambda ledger: ledger.interaction(interaction_id)))
        return
    equal = {"cost_center": cost_center, "prompt": prompt, "status": status, "source": source}
    found = with_ledger(lambda ledger: ledger.interactions(limit, **equal))
    if not found:
        filtered = any(value is not None for value in equal.values())
        reason = (
            "No interaction matches; leave out an option." if filtered else "No interactions yet. Ask a model first."
        )
        echo(reason, err=True)
        return
    ids = short_ids([row.id for row in found])
    header = ("id", "started (UTC)", "prompt", "cost centre", "outcome", "calls", "US dollars")
    rows = [
        (short, _minute(row.started_at), row.prompt, row.cost_center, _outcome(row), row.calls, dollars(row.cost))
        for short, row in zip(ids, found, strict=True)
    ]
    print_table(header, rows, flexible=["prompt", "cost centre"])


def replay(
    interaction_id: Annotated[str, typer.Argument(metavar="ID", help="The start of its id is enough.")],
    as_test: Annotated[bool, typer.Option(help="Ask nothing; write a test that replays it without a model.")] = False,
    folder: Annotated[Path, typer.Option(help="Folder of the test.")] = Path("tests/functional"),
) -> None:
    """Ask again what an interaction asked, with today's configuration, and show both answers."""
    if as_test:
        _write_test(interaction_id, folder)
        return

    async def run() -> tuple[Interaction, Interaction]:
        from ai_base.llm.gateway.gateway import Gateway  # noqa: PLC0415 - the client library takes a second to import

        async with Gateway.open() as gateway:
            recorded, answer = await gateway.replay(interaction_id)
            repeated, _ = await gateway.ledger.interaction(answer.interaction_id)
            return recorded, repeated

    recorded, repeated = asyncio.run(run())
    for label, row in (("then", recorded), ("now ", repeated)):
        echo(f"{label} ({one_line(row.model) or row.source}, {money(dollars(row.cost))}): {one_line(row.response)}")


def _write_test(interaction_id: str, folder: Path) -> None:
    # Imported here: templates and validation take time to import, and the other commands need neither.
    from ai_base.llm.commands.recording import record, write_test  # noqa: PLC0415
    from ai_base.llm.configuration.prompts import Prompts  # noqa: PLC0415

    if find_spec("ai_base.testing.replay") is None:  # this module stands below it, and may not import it
        raise LLMError("the test needs ai_base.testing.replay, which is not installed")
    prompts = Prompts(load_settings(LLMSettings).prompts_folder)
    identity, recording = with_ledger(lambda ledger: record(ledger, interaction_id, prompts))
    echo(f"wrote {write_test(identity, recording, find_root() / folder)}")


def short_ids(ids: Sequence[str]) -> list[str]:
    """Cut ids to the length at which they still differ."""
    length = SHORT_ID
    while len({each[:length] for each in ids}) < len(set(ids)):
        length += 1
    return [each[:length] for each in ids]


def _minute(time_stamp: str) -> str:
    """Shorten 2026-11-23T09:15:03.123456+00:00 to 11-23 09:15."""
    return f"{time_stamp[5:10]} {time_stamp[11:16]}"


def _outcome(row: Interaction) -> str:
    """Return where an answer came from, or else why there is none."""
    return row.source if row.status == "ok" and row.source else row.status


def _show(row: Interaction, attempts: Sequence[Attempt]) -> None:
    _show_fields(row, "")
    for attempt in attempts:
        echo(f"\nattempt {attempt.number}")
        _show_fields(attempt, "  ")


def _show_trace(interaction_id: str) -> None:
    async def steps_of(ledger: Ledger) -> list[Step]:
        row, _ = await ledger.interaction(interaction_id)
        return await ledger.steps(row.id)

    if not (steps := with_ledger(steps_of)):
        raise LLMError("this interaction has no steps: it is not a run of SimpleReActAgent")
    for line in tree(steps, terminal_width()).split("\n"):
        echo(line)


def _show_fields(record: Interaction | Attempt, indent: str) -> None:
    for name, value in vars(record).items():
        shown = money(dollars(value)) if name in AMOUNTS else _indented(value, indent)
        echo(f"{indent}{name + ':':<16}{shown}".rstrip())


def _indented(value: object, indent: str) -> str:
    """Indent all lines of a text but the first, so that no line of it looks like a field."""
    return f"\n{indent}{'':<16}".join(str(value).splitlines())
