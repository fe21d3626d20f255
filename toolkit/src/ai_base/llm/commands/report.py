"""How a command reports an answer: the output for the reader or script, a line on what happened, an exit code."""

from typing import TYPE_CHECKING, Any

import typer
from pydantic_core import to_json

from ai_base.cli import echo
from ai_base.llm.commands.tables import money

if TYPE_CHECKING:
    from ai_base.llm.gateway.answers import Answer

FALLBACK = 3
"""Exit code: no model answered; the output is the caller's simple fallback."""

WAITS_FOR_PERSON = 4
"""Exit code: the output is a model's draft, which a person has yet to confirm."""

OFFLINE_MODEL = "offline"


def report(answer: "Answer[Any]") -> None:
    """Print an answer, and end the command with an exit code that says whether a model gave it.

    The output goes to standard output, text as it is and everything else as JSON. One line about its origin and cost
    goes to standard error.

    Raises:
        typer.Exit: The output is the fallback (code 3) or a draft that waits for a person (code 4). An answer of a
            model, of the cache or of a person returns, so that the command ends with 0.
    """
    output = answer.output
    echo(output if isinstance(output, str) else to_json(output, indent=2).decode())
    echo(describe(answer), err=True)
    if answer.source == "fallback":
        raise typer.Exit(FALLBACK)
    if answer.escalation_id:
        raise typer.Exit(WAITS_FOR_PERSON)


def describe(answer: "Answer[Any]") -> str:
    """Say in one line where an answer comes from and what it cost."""
    reason, cost = " ".join(answer.fallback_reason.split()), money(answer.cost)
    if answer.source == "fallback":
        return f"No model answered: {reason}. This is the simple fallback answer. Cost: {cost}."
    if answer.escalation_id:
        return (
            f"A draft by {answer.model}, {cost}. It waits for a person: {reason.removeprefix('draft: ')}. "
            f"To answer: escalations answer {answer.escalation_id} TEXT"
        )
    if answer.model == OFFLINE_MODEL:
        return (
            f"No model was asked: the offline model computed this from the prompt's words, {cost}. "
            "To ask a real one, name it in config/llm.toml, [candidates.main]."
        )
    if answer.source == "model":
        repaired = f" Its syntax was repaired: {'; '.join(answer.repairs)}." if answer.repairs else ""
        return f"Answered by {answer.model}, {cost}.{repaired}"
    origin = "the cache" if answer.source == "cache" else "a person"
    return f"Answered by {origin} ({reason}), {cost}." if reason else f"Answered by {origin}, {cost}."
