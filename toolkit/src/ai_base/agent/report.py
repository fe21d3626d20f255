"""How a command reports a run."""

from shutil import get_terminal_size

import typer

from ai_base.agent.run import Run
from ai_base.cli import echo
from ai_base.llm.commands.report import FALLBACK, WAITS_FOR_PERSON


def report_run(run: Run) -> None:
    """Print the steps on standard error, and the answer.

    Raises:
        typer.Exit: There is no answer: code 4 if a tool call waits for a person, else 3.
    """
    echo(run.tree(get_terminal_size().columns), err=True)
    if run.ended != "answer":
        echo(f"No answer; the run ended with: {run.ended}. {run.error}".strip(), err=True)
        raise typer.Exit(WAITS_FOR_PERSON if run.waiting else FALLBACK)
    echo(run.answer)
