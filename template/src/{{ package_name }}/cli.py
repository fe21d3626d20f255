"""The command line: reads the settings, sets logging up, calls the code that does the work."""

import importlib
import importlib.metadata
from typing import Annotated

import structlog
import typer
from pydantic import BaseModel

from .logging import configure_logging, correlation
from .reply import ReplyError, parse_reply
from .settings import SettingsError, load_settings

app = typer.Typer(no_args_is_help=True)
log = structlog.get_logger(__name__)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer passes a callback its value by position
    if wanted:
        typer.echo(importlib.metadata.version(str(__package__)))
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn messy model replies into validated objects."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise typer.BadParameter(f"{error} (from the environment or .env)") from error
    configure_logging(settings.log_level, settings.log_format)
    context.with_resource(correlation())


@app.command()
def parse(
    file: Annotated[typer.FileText, typer.Argument(encoding="utf-8", help="The reply; - reads standard input.")],
    schema: Annotated[
        str, typer.Option(help="The Pydantic model to validate against, as module:Class.")
    ] = f"{__package__}.triage:Triage",
) -> None:
    """Print the object that FILE holds as JSON, or say where and why there is none."""
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise _failure(f"{file.name}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    try:
        reply = parse_reply(text, _load_schema(schema))
    except ReplyError as error:
        raise _failure(f"{file.name}:{error.line}:{error.column}: {error.reason}") from error
    log.info("reply parsed", file=file.name, schema=schema, repairs=reply.repairs)
    typer.echo(reply.value.model_dump_json(indent=2))


def _failure(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def _load_schema(path: str) -> type[BaseModel]:
    module, _, name = path.partition(":")
    try:
        schema = getattr(importlib.import_module(module), name)
    except Exception as error:  # importing runs whatever the module holds
        raise typer.BadParameter(f"{path}: {error}", param_hint="--schema") from error
    if not (isinstance(schema, type) and issubclass(schema, BaseModel) and schema is not BaseModel):
        raise typer.BadParameter(f"{path} is not a Pydantic model", param_hint="--schema")
    return schema
