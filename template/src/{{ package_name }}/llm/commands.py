"""Commands that read the ledger and answer what waits for a person; cli.py tells of their errors."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..settings import Settings
from .errors import LLMError
from .ledger import Ledger
from .records import dollars

if TYPE_CHECKING:  # the client library takes a second to import, for which most commands need not wait
    from .gateway import Gateway

app = typer.Typer()
escalations = typer.Typer(help="Questions that wait for a person.", no_args_is_help=True)
app.add_typer(escalations, name="escalations")


def open_gateway(settings: Settings) -> "AbstractAsyncContextManager[Gateway]":
    """Open the gateway that the settings describe."""
    from .gateway import Gateway  # noqa: PLC0415 - as above

    config = settings.llm_config
    database_url = settings.database_url.get_secret_value()
    return Gateway.open(config=config, prompts=config.parent / "prompts", database_url=database_url)


@contextmanager
def _ledger(context: typer.Context) -> Iterator[Ledger]:
    ledger = Ledger.open(context.ensure_object(Settings).database_url.get_secret_value())
    try:
        yield ledger
    finally:
        ledger.close()


def _table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows, the first one being the header: text to the left, numbers to the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [not isinstance(cell, str) for cell in rows[-1]] if len(rows) > 1 else [False] * len(widths)
    for row in cells:
        line = (f"{cell:>{w}}" if n else f"{cell:<{w}}" for cell, w, n in zip(row, widths, numeric, strict=True))
        typer.echo("  ".join(line).rstrip())


@app.command()
def spend(
    context: typer.Context,
    by: Annotated[Literal["cost_center", "model", "prompt", "day"], typer.Option(help="What to sum up by.")] = "day",
    since: Annotated[str | None, typer.Option(help="First day, as 2026-11-23 (UTC).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture, such as spend.png, as well.")] = None,
) -> None:
    """Show what was spent."""
    with _ledger(context) as ledger:
        found = ledger.spend(by, since)
        rows = [(row.name, row.calls, row.input_tokens, row.output_tokens, dollars(row.cost)) for row in found]
        _table([(by, "calls", "input tokens", "output tokens", "US dollars"), *rows])
        typer.echo(f"total: ${dollars(sum(row.cost for row in found)):f}")
        if plot:
            _plot([(row.name, float(dollars(row.cost))) for row in found], by, plot)


def _plot(bars: Sequence[tuple[str, float]], by: str, file: Path) -> None:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise LLMError("a picture needs matplotlib: uv sync --extra plot") from error
    figure = Figure(figsize=(8, 1.5 + 0.35 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh([key for key, _ in bars], [cost for _, cost in bars])
    axes.bar_label(drawn, fmt="$%.4g", padding=3)
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
    context: typer.Context,
    interaction_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this one in full.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    cost_center: Annotated[str | None, typer.Option()] = None,
    prompt: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="ok, failed, refused or lost")] = None,
    source: Annotated[str | None, typer.Option(help="model, cache, fallback or human")] = None,
) -> None:
    """List interactions, or show one with all its attempts."""
    with _ledger(context) as ledger:
        if interaction_id is None:
            wanted = {"cost_center": cost_center, "prompt": prompt, "status": status, "source": source}
            found = ledger.interactions(limit, **{key: value for key, value in wanted.items() if value is not None})
            names = ("id", "started_at", "prompt", "cost_center", "status", "source", "calls")
            rows = [(*(getattr(row, name) for name in names), dollars(row.cost)) for row in found]
            _table([(*names, "US dollars"), *rows])
            return
        row, attempts = ledger.interaction(interaction_id)
        for name, value in asdict(row).items():
            typer.echo(f"{name + ':':<16}{dollars(value) if name == 'cost' else value}")
        for attempt in attempts:
            typer.echo(f"\nattempt {attempt.number}")
            for field in fields(attempt)[3:]:
                value = getattr(attempt, field.name)
                typer.echo(f"  {field.name + ':':<14}{dollars(value) if field.name in ('cost', 'reserved') else value}")


@escalations.command("list")
def list_escalations(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,  # noqa: FBT002
) -> None:
    """List what waits for a person, oldest first."""
    with _ledger(context) as ledger:
        for one in ledger.escalations(open_only=not every):
            typer.echo(f"{one.id}  {one.created_at}  {one.prompt}: {one.reason}")
            typer.echo(f"  asked: {one.request}")
            if one.draft:
                typer.echo(f"  draft: {one.draft}")
            if one.answered_at:
                typer.echo(f"  answer, by {one.answered_by}: {one.answer}")


@escalations.command("answer")
def answer_escalation(
    context: typer.Context,
    escalation_id: Annotated[str, typer.Argument(metavar="ID")],
    answer: Annotated[str, typer.Argument(help="Text; or JSON, where the question wants an object.")],
    by: Annotated[str, typer.Option(help="Who answers.")] = "",
) -> None:
    """Answer a question; whoever asks it again gets this answer."""
    with _ledger(context) as ledger:
        wanted = {one.id: one for one in ledger.escalations(open_only=False)}.get(escalation_id)
        if wanted:
            from .answers import read_text, type_named  # noqa: PLC0415 - as above

            read_text(answer, type_named(wanted.output_type), "keep")
        ledger.answer(escalation_id, answer, by)
        typer.echo(f"answered {escalation_id}")


@app.command()
def replay(context: typer.Context, interaction_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Ask again what an interaction asked, with today's configuration, and show both answers."""
    settings = context.ensure_object(Settings)

    async def run() -> None:
        async with open_gateway(settings) as gateway:
            recorded, answer = await gateway.replay(interaction_id)
            now = gateway.ledger.interaction(answer.interaction_id)[0]
        typer.echo(f"then ({recorded.model}, ${dollars(recorded.cost):f}): {recorded.response}")
        typer.echo(f"now  ({now.model}, ${dollars(now.cost):f}): {now.response}")

    asyncio.run(run())
