"""The command `ledger prune`."""

from datetime import date, timedelta
from typing import Annotated

import typer

from ai_base.cli import echo
from ai_base.llm.commands.opened_ledger import with_ledger
from ai_base.llm.ledger.records import now
from ai_base.llm.ledger.retention import Pruned

app = typer.Typer(help="Maintain the ledger.", no_args_is_help=True)


@app.callback()
def ledger() -> None:
    """Make a group of the commands, even while there is only one."""


@app.command("prune")
def prune(
    older_than: Annotated[
        int | None, typer.Option(min=1, max=36_500, metavar="DAYS", help="Delete rows older than this many days.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Delete rows from before this day (UTC).")] = None,
    user: Annotated[str | None, typer.Option(help="Erase this user's name and texts in all rows.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only show what would be deleted.")] = False,
) -> None:
    """Delete old rows, or erase a user. The budgets and the spend by day keep their numbers.

    Questions that wait for a person, and calls in progress, are kept.
    """
    if sum(option is not None for option in (older_than, before, user)) != 1:
        raise typer.BadParameter("give exactly one of --older-than DAYS, --before DATE and --user USER")
    if user is not None:
        from ai_base.llm.interaction import anonymous  # noqa: PLC0415 - it loads the client library

        stored = anonymous(user)
        pruned = with_ledger(lambda ledger: ledger.erase_user(stored, dry_run=not yes))
        echo(f"{'erased' if yes else 'would erase'} user {stored}: {_counts(pruned)}")
    else:
        day = _day(older_than, before)
        pruned = with_ledger(lambda ledger: ledger.prune(day, dry_run=not yes))
        echo(f"{'deleted' if yes else 'would delete'} from before {day}: {_counts(pruned)}")
    if pruned.kept:
        echo(f"kept: {pruned.kept:,} interactions that wait for a person or are in progress")
    if not yes:
        echo("Nothing was changed. Add --yes to do it.", err=True)


def _day(older_than: int | None, before: str | None) -> str:
    """Return the day before which rows are deleted; rows of today stay in any case."""
    today = date.fromisoformat(now()[:10])
    if older_than is not None:
        return f"{today - timedelta(days=older_than)}"
    try:
        day = date.fromisoformat(before or "")
    except ValueError:
        raise typer.BadParameter("give a day such as 2026-11-23", param_hint="--before") from None
    if day > today:
        raise typer.BadParameter(f"{day} is in the future; today is {today} (UTC)", param_hint="--before")
    return f"{day}"


def _counts(pruned: Pruned) -> str:
    return ", ".join(
        f"{getattr(pruned, name):,} {name}" for name in ("interactions", "attempts", "escalations", "steps")
    )
