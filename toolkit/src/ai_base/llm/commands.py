"""Commands that read the ledger and answer what waits for a person; cli.py tells of their errors."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from ai_base.llm.errors import LLMError
from ai_base.llm.ledger.ledger import Ledger, SpendRow
from ai_base.llm.money import dollars
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings

app = typer.Typer()
escalations = typer.Typer(help="Questions that wait for a person.", no_args_is_help=True)
app.add_typer(escalations, name="escalations")


def _of_ledger[R](question: Callable[[Ledger], Awaitable[R]]) -> R:
    async def run() -> R:
        ledger = await Ledger.open(load_settings(LLMSettings).ledger_url)
        try:
            return await question(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())


def _table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows, the first one being the header: text to the left, numbers to the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = ["<" if isinstance(cell, str) else ">" for cell in rows[-1]]
    for row in cells:
        line = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
        typer.echo("  ".join(line).rstrip())


def _fields(record: object, indent: str = "") -> None:
    for name, value in vars(record).items():
        typer.echo(f"{indent}{name + ':':<16}{dollars(value) if name in ('cost', 'reserved') else value}")


@app.command()
def spend(
    by: Annotated[Literal["cost_center", "model", "prompt", "day"], typer.Option(help="What to sum up by.")] = "day",
    since: Annotated[str, typer.Option(help="First day, as 2026-11-23 (UTC).")] = "",
    plot: Annotated[Path | None, typer.Option(help="Write a picture, such as spend.png, as well.")] = None,
) -> None:
    """Show what was spent."""
    found = _of_ledger(lambda ledger: ledger.spend(by, since))
    rows = [(*row[:4], dollars(row.cost)) for row in found]
    _table([(by, "calls", "input tokens", "output tokens", "US dollars"), *rows])
    typer.echo(f"total: ${dollars(sum(row.cost for row in found)):f}")
    if plot:
        _plot(found, by, plot)


def _plot(found: Sequence[SpendRow], by: str, file: Path) -> None:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise LLMError("a picture needs matplotlib: uv sync --extra plot") from error
    figure = Figure(figsize=(8, 1.5 + 0.35 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh([row.name for row in found], [float(dollars(row.cost)) for row in found])
    axes.bar_label(bars, fmt="$%.4g", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(title=f"Spend by {by.replace('_', ' ')}", xlabel="US dollars")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise LLMError(f"{file}: {error}") from error
    typer.echo(f"picture: {file}")


@app.command()
def interactions(  # noqa: PLR0913, PLR0917 - the filters
    interaction_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this one in full.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    cost_center: Annotated[str | None, typer.Option()] = None,
    prompt: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="ok, failed, refused or lost")] = None,
    source: Annotated[str | None, typer.Option(help="model, cache, fallback or human")] = None,
) -> None:
    """List interactions, or show one with all its attempts."""
    if interaction_id is None:
        equal = {"cost_center": cost_center, "prompt": prompt, "status": status, "source": source}
        found = _of_ledger(lambda ledger: ledger.interactions(limit, **equal))
        names = ("id", "started_at", "prompt", "cost_center", "status", "source", "calls")
        rows = [(*(getattr(row, name) for name in names), dollars(row.cost)) for row in found]
        _table([(*names, "US dollars"), *rows])
        return
    row, attempts = _of_ledger(lambda ledger: ledger.interaction(interaction_id))
    _fields(row)
    for attempt in attempts:
        typer.echo(f"\nattempt {attempt.number}")
        _fields(attempt, "  ")


@escalations.command("list")
def list_escalations(
    every: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,
) -> None:
    """List what waits for a person, oldest first."""
    for one in _of_ledger(lambda ledger: ledger.escalations(open_only=not every)):
        typer.echo(f"{one.id}  {one.created_at}  {one.prompt}: {one.reason}\n  asked: {one.request}")
        if one.draft:
            typer.echo(f"  draft: {one.draft}")
        if one.answered_at:
            typer.echo(f"  answer, by {one.answered_by}: {one.answer}")


@escalations.command("answer")
def answer_escalation(
    escalation_id: Annotated[str, typer.Argument(metavar="ID")],
    answer: Annotated[str, typer.Argument(help="Text; or JSON, where the question wants an object.")],
    by: Annotated[str, typer.Option(help="Who answers.")] = "",
) -> None:
    """Answer a question; whoever asks it again gets this answer."""

    async def check_and_answer(ledger: Ledger) -> None:
        for asked in await ledger.escalations():
            if asked.id == escalation_id:
                from ai_base.llm.configuration.config import Output  # noqa: PLC0415 - as above
                from ai_base.llm.gateway.output import read_text, type_named  # noqa: PLC0415 - as above

                read_text(answer, type_named(asked.output_type), Output(html="keep"))
        await ledger.answer(escalation_id, answer, by)

    _of_ledger(check_and_answer)
    typer.echo(f"answered {escalation_id}")


@app.command()
def replay(interaction_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Ask again what an interaction asked, with today's configuration, and show both answers."""

    async def run() -> None:
        from ai_base.llm.gateway.gateway import Gateway  # noqa: PLC0415 - the client library takes a second to import

        async with Gateway.open() as gateway:
            recorded, answer = await gateway.replay(interaction_id)
            now, _ = await gateway.ledger.interaction(answer.interaction_id)
        for when, row in (("then", recorded), ("now ", now)):
            typer.echo(f"{when} ({row.model}, ${dollars(row.cost):f}): {row.response}")

    asyncio.run(run())
