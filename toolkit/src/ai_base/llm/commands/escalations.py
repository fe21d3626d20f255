"""The commands `escalations list` and `escalations answer`."""

from typing import Annotated

import typer

from ai_base.cli import echo
from ai_base.llm.commands.interactions import short_ids
from ai_base.llm.commands.opened_ledger import with_ledger
from ai_base.llm.commands.tables import one_line, print_text, shortened, terminal_width
from ai_base.llm.errors import LLMError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Escalation

app = typer.Typer(help="Questions that wait for a person.", no_args_is_help=True)

MOST_LINES = 12
"""Lines of a question or answer that the list shows."""


@app.command("list")
def list_escalations(
    every: Annotated[bool, typer.Option("--all", help="Also those that were answered.")] = False,
) -> None:
    """List the questions that wait for a person, oldest first."""
    found = with_ledger(lambda ledger: ledger.escalations(open_only=not every))
    if not found:
        echo(
            "No escalations yet." if every else "No question waits for a person. --all lists the answered ones.",
            err=True,
        )
        return
    for number, (short, escalation) in enumerate(zip(short_ids([each.id for each in found]), found, strict=True)):
        if number:
            echo()
        _show(short, escalation)
    if not every:
        echo("\nTo answer one: escalations answer ID TEXT", err=True)


@app.command("answer")
def answer_escalation(
    escalation_id: Annotated[str, typer.Argument(metavar="ID", help="The start of the id is enough.")],
    answer: Annotated[str, typer.Argument(help="Text, or JSON if the question asks for an object.")],
    by: Annotated[str, typer.Option(help="Who answers.")] = "",
) -> None:
    """Answer a question. Whoever asks it again gets this answer."""

    async def check_and_store(ledger: Ledger) -> str:
        # Imported here: the client library takes a second, which the other commands need not wait for.
        from ai_base.llm.configuration.config import Output  # noqa: PLC0415
        from ai_base.llm.gateway.output import read_text, type_named  # noqa: PLC0415

        found = _find(await ledger.escalations(open_only=False), escalation_id)
        if not found.answered_at:
            read_text(answer, type_named(found.output_type), Output(html="keep"))
        await ledger.answer(found.id, answer, by)
        return found.id

    echo(f"answered {with_ledger(check_and_store)}")


def _find(escalations: list[Escalation], start_of_id: str) -> Escalation:
    """Return the escalation whose id starts like this.

    Raises:
        LLMError: None does, or several do.
    """
    found = [each for each in escalations if each.id.startswith(start_of_id)]
    if not found:
        raise LLMError(f"no escalation starts with {start_of_id!r}; escalations list --all shows them")
    if len(found) > 1:
        raise LLMError(f"several escalations start with {start_of_id!r}; give more of the id")
    return found[0]


def _show(short_id: str, escalation: Escalation) -> None:
    heading = f"{short_id}  {escalation.created_at[:16].replace('T', ' ')} UTC  {one_line(escalation.prompt)}"
    echo(shortened(heading, terminal_width()))
    more = f"all of it: interactions {escalation.interaction_id}"
    texts = {"reason": escalation.reason, "asked": escalation.request, "draft": escalation.draft}
    if escalation.answered_at:
        texts["answer"] = f"{escalation.answer}\n(by {escalation.answered_by or 'unknown'})"
    for label, text in texts.items():
        if text:
            print_text(label, text, most_lines=MOST_LINES, more=more)
