"""The command `ledger prune`: only what is named is deleted, and only with --yes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from command_cases import LEDGER, Run

from ai_base.llm.interaction import anonymous
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Escalation, Interaction, simulated_time

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def filled(run: Run, look: Any) -> Any:
    """Run a command at noon; ten interactions are in the ledger, one from each of the last ten days."""

    async def fill(ledger: Ledger) -> None:
        for days_ago in range(10):
            at = (NOON - timedelta(days=days_ago)).isoformat(timespec="microseconds")
            user = anonymous("bob@example.com") if days_ago == 1 else ""
            await ledger.record(Interaction(f"{days_ago:032}", at, user=user, request="?"))
        await ledger.escalate(Escalation("e" * 32, f"{9:032}", at, "key", "unsure", "triage", "?"))

    look(LEDGER, fill)
    with simulated_time(lambda: NOON):
        yield run


def count(look: Any) -> int:
    return len(look(LEDGER, lambda ledger: ledger.interactions(99)))


@pytest.mark.parametrize(
    ("options", "day", "deleted"),
    [
        (["--older-than", "5"], "2026-11-20", 3),
        (["--before", "2026-11-24"], "2026-11-24", 7),
        (["--before", "2026-11-25"], "2026-11-25", 8),
    ],
)
def test_old_rows_are_deleted_after_a_yes(filled: Run, look: Any, options: list[str], day: str, deleted: int) -> None:
    counts = f"from before {day}: {deleted} interactions, 0 attempts, 0 escalations, 0 steps"
    kept = "kept: 1 interactions that wait for a person or are in progress"

    dry_run = filled("ledger", "prune", *options)

    assert (dry_run.exit_code, dry_run.stdout.splitlines()) == (0, [f"would delete {counts}", kept])
    assert dry_run.stderr == "Nothing was changed. Add --yes to do it.\n"
    assert count(look) == 10

    result = filled("ledger", "prune", *options, "--yes")

    assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (0, [f"deleted {counts}", kept], "")
    assert count(look) == 10 - deleted


def test_a_user_is_erased_by_the_name_that_the_application_gave(filled: Run, look: Any) -> None:
    result = filled("ledger", "prune", "--user", "bob@example.com", "--yes")

    assert result.exit_code == 0
    assert result.stdout.startswith("erased user [email] ")
    assert result.stdout.endswith(": 1 interactions, 0 attempts, 0 escalations, 0 steps\n")
    assert {row.user for row in look(LEDGER, lambda ledger: ledger.interactions(99))} == {""}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give exactly one of --older-than DAYS, --before DATE and --user USER"),
        (["--older-than", "5", "--before", "2026-11-24"], "give exactly one of"),
        (["--user", "ada", "--older-than", "5"], "give exactly one of"),
        (["--older-than", "0"], "greater than or equal to 1"),
        (["--before", "last week"], "give a day such as 2026-11-23"),
        (["--before", "2026-11-26"], "2026-11-26 is in the future; today is 2026-11-25 (UTC)"),
    ],
)
def test_unclear_options_delete_nothing(filled: Run, look: Any, options: list[str], message: str) -> None:
    result = filled("ledger", "prune", "--yes", *options)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert count(look) == 10
