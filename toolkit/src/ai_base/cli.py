"""The command line of an application: settings, logging, error messages, `--version`, `-v`."""

import asyncio
import importlib
import importlib.metadata
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import structlog
import typer
from pydantic import BaseModel

from ai_base.errors import AIBaseError
from ai_base.logging import configure_logging, correlation
from ai_base.settings import AppSettings, load_settings
from ai_base.text.invisible import remove_invisible
from ai_base.text.reply import ReplyError, parse_reply

INTERRUPTED = 130


def create_app(package: str, settings: type[AppSettings], summary: str = "") -> typer.Typer:
    """Make a Typer application whose commands find the loaded `settings` in `context.obj`.

    `summary` is the first line of `--help`; by default, it is the description in the package's metadata.

    An `AIBaseError` ends a command with its message on standard error and the error's exit code. On a terminal only
    warnings are logged unless `-v` is given, so that a person reads the answer; elsewhere `LOG_LEVEL` decides.
    """
    summary = summary or importlib.metadata.metadata(package)["Summary"]
    # Typer's own tracebacks would show the text of a provider or a user without scrubbing it.
    app = typer.Typer(
        name=package.replace("_", "-"), no_args_is_help=True, help=summary, pretty_exceptions_enable=False
    )

    def show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer passes a callback its value by position
        if wanted:
            typer.echo(importlib.metadata.version(package.replace("_", "-")))
            raise typer.Exit

    @app.callback()
    def main(
        context: typer.Context,
        version: Annotated[  # noqa: ARG001 - its callback does the work
            bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
        ] = False,
        verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also show the log on a terminal.")] = False,
    ) -> None:
        context.with_resource(_errors_without_traceback())
        loaded = load_settings(settings)
        quiet = sys.stderr.isatty() and not verbose and loaded.log_level in ("DEBUG", "INFO")
        configure_logging("WARNING" if quiet else loaded.log_level, loaded.log_format)
        context.with_resource(correlation())
        context.obj = loaded

    return app


def echo(text: str = "", *, err: bool = False) -> None:
    """Print a text without the control and invisible characters that could change what a terminal shows."""
    typer.echo(remove_invisible(text), err=err)


def run_to_exit_code(command: Coroutine[Any, Any, int], *, when_interrupted: str) -> None:
    """Run a command, and exit with the code that it returns; after Ctrl-C, say so and exit with 130."""
    try:
        code = asyncio.run(command)
    except KeyboardInterrupt:
        echo(when_interrupted, err=True)
        code = INTERRUPTED
    if code:
        raise typer.Exit(code)


def read_file(file: typer.FileText) -> str:
    """Read a file that a user named.

    Raises:
        AIBaseError: It is not UTF-8 text.
    """
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise AIBaseError(f"{file.name}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_file(file: typer.FileText, schema: str) -> str:
    """Parse a file with a model's reply; return the object as JSON. `schema` is a Pydantic model, `module:Class`.

    Raises:
        AIBaseError: The file holds no such object, or one that is cut off; the message says where and why.
        typer.BadParameter: `schema` names no Pydantic model.
    """
    try:
        reply = parse_reply(read_file(file), _load_model(schema))
    except ReplyError as error:
        raise AIBaseError(f"{file.name}:{error.line}:{error.column}: {error.reason}") from error
    if reply.truncated:
        raise AIBaseError(f"{file.name}: the reply is cut off before its closing brackets")
    structlog.get_logger(__name__).info("reply parsed", file=file.name, schema=schema, repairs=reply.repairs)
    return reply.value.model_dump_json(indent=2)


def _load_model(path: str) -> type[BaseModel]:
    module, _, name = path.partition(":")
    try:
        model = getattr(importlib.import_module(module), name)
    except Exception as error:  # importing runs whatever the module holds
        raise typer.BadParameter(f"{path} is not module:Class: {error}", param_hint="--schema") from error
    if not (isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel):
        raise typer.BadParameter(f"{path} is not a Pydantic model", param_hint="--schema")
    return model


@contextmanager
def _errors_without_traceback() -> Iterator[None]:
    try:
        yield
    except AIBaseError as error:
        echo(str(error), err=True)
        raise typer.Exit(error.exit_code) from error
