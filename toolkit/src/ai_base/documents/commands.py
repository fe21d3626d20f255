"""The commands `documents index|status|search|recall|ask`."""

import tomllib
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from ai_base.cli import read_file, run_to_exit_code
from ai_base.errors import AIBaseError

app = typer.Typer(help="Index documents, search them, and ask questions about them.", no_args_is_help=True)

# What does the work is imported in each command: numpy and the client library take seconds.


@app.command()
def index(dry_run: Annotated[bool, typer.Option(help="Only tell what it would do and cost.")] = False) -> None:
    """Index what is new or changed, and remove what is gone."""
    from ai_base.documents import actions  # noqa: PLC0415

    _run(actions.dry_run() if dry_run else actions.index())


@app.command()
def status() -> None:
    """Tell what the index holds, and which documents are left out."""
    from ai_base.documents import actions  # noqa: PLC0415

    _run(actions.status())


@app.command()
def search(question: str, limit: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 5) -> None:
    """Show the passages that fit a question best."""
    from ai_base.documents import actions  # noqa: PLC0415

    _run(actions.search(question, limit))


@app.command()
def recall(
    file: Annotated[typer.FileText, typer.Argument(encoding="utf-8", help='Lines like "Question?" = "a.md > Title"')],
) -> None:
    """Show for how many labelled questions the right section is among the first five passages."""
    from ai_base.documents import actions  # noqa: PLC0415

    try:
        sections = tomllib.loads(read_file(file))
    except tomllib.TOMLDecodeError as error:
        raise AIBaseError(f"{file.name}: not TOML: {error}") from error
    _run(actions.recall(sections))


@app.command()
def ask(question: str) -> None:
    """Answer a question from the documents, with quotes."""
    from ai_base.documents import actions  # noqa: PLC0415

    _run(actions.ask(question))


def _run(command: Coroutine[Any, Any, int]) -> None:
    run_to_exit_code(
        command, when_interrupted="Stopped. What is indexed stays indexed; the next run goes on from there."
    )
