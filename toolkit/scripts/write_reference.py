"""Writes the reference pages of the documentation from the code: `python scripts/write_reference.py FOLDER`.

Configuration comes from its types, commands from the Typer apps, make targets from the Makefiles, errors from their
classes, tables from an empty ledger, and the API from docstrings, which the site's generator reads. What the code does
not say is an error here: a key without a meaning, a command without help, an error without a cure.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from reference_library import api, errors, ledger
from reference_text import first_line, page, table
from reference_types import meanings, parts_of, rows_of

from ai_base.cli import create_app
from ai_base.documents.commands import app as documents_commands
from ai_base.documents.settings import DocumentsSettings
from ai_base.evals.commands import create_commands
from ai_base.llm.commands import app as llm_commands
from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.prompts import FrontMatter
from ai_base.llm.settings import LLMSettings
from ai_base.settings import AppSettings

TOOLKIT = Path(__file__).parents[1]
ROOT = TOOLKIT.parent

# ---- Configuration ----


def configuration() -> str:
    """Write the keys of `config/llm.toml`, of a prompt's front matter and of the environment."""
    heads = ("key", "type", "default", "meaning")
    paths: dict[type[BaseModel], list[str]] = {}
    for path, model in parts_of(Config):
        paths.setdefault(model, []).append(f"`[{path}]`")
    sections = [
        f"## {', '.join(names)}\n\n{first_line(model.__doc__, names[0])}\n\n{table(heads, rows_of(model))}"
        for model, names in paths.items()
    ]
    chains = table(heads, [("*any name*", "list of names", "", meanings(Config)["chains"])])
    settings = [
        f"### {title}\n\n" + table(("variable", *heads[1:]), rows_of(model, variables=True))
        for title, model in (
            ("Every project", AppSettings),
            ("With `llm`", LLMSettings),
            ("With `documents`", DocumentsSettings),
        )
    ]
    return page(
        "Configuration",
        "`config/llm.toml` is read again after every edit. A variable overrides a single key: "
        "`LLM__BUDGETS__OVERALL__DAY=5`, in the environment or in `.env`, is `day` in `[budgets.overall]`.\n",
        *sections,
        f"## `[chains]`\n\n{chains}",
        "## The front matter of a prompt\n",
        "Between two lines of `+++` at the top of `config/prompts/NAME.md`, as TOML.\n",
        table(heads, rows_of(FrontMatter)),
        "## Settings\n",
        "From the environment, then from `.env`, then the default. Relative paths start at the project's root.\n",
        *settings,
    )


# ---- Commands and make targets ----


def command_pages(command: Any, path: str) -> list[str]:  # noqa: ANN401 - Typer has its own copy of click
    """Write a command, or all commands of a group."""
    if commands := getattr(command, "commands", None):
        return [text for name, each in sorted(commands.items()) for text in command_pages(each, f"{path} {name}")]
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        value = parameter.metavar or parameter.name.upper()
        is_flag = parameter.type_descriptor.annotation is bool
        names = [] if parameter.param_type_name == "argument" else [", ".join(parameter.opts)]
        name = " ".join(names if is_flag else [*names, value])
        rows.append((f"`{name}`", parameter.help or ("required" if parameter.required else "")))
    options = f"\n\n{table(('option', 'meaning'), rows)}" if rows else "\n"
    return [f"## `{path}`\n\n{' '.join((command.help or first_line(None, path)).split())}{options}"]


def commands() -> str:
    """Write the commands that the library gives to a project's command line."""
    app = create_app("ai_base", AppSettings)
    app.add_typer(llm_commands)
    app.add_typer(documents_commands, name="documents")
    app.add_typer(create_commands("my_app.evals"))
    return page(
        "Commands",
        "In a project, `uv run my_app COMMAND`; `my_app` is the name of your package. `-v` before the command shows "
        "the log on a terminal, `--version` the version. A command that cannot do its work prints one line and ends "
        "with 1, unless [the error](errors.md) has another code.\n",
        *command_pages(typer.main.get_command(app), "my_app"),
    )


def targets(makefile: Path) -> str:
    """Write the targets of a Makefile; of a template, with the capability that a target needs."""
    parts: list[tuple[str, list[tuple[str, str]]]] = []
    rows: list[tuple[str, str]] = []
    needs = ""
    for line in makefile.read_text(encoding="utf-8").splitlines():
        if condition := re.match(r'\{%-? if "(\w+)" in capabilities', line):
            needs = f" With `{condition[1]}`."
        elif "endif" in line:
            needs = ""
        elif heading := re.match(r"# ---- (.+?)(:.*)? ----", line):
            rows = []
            parts.append((heading[1], rows))
        elif target := re.match(r"([a-z-]+):.*?## (.+)", line):
            meaning = re.sub(r"\[.+\]", r"`\g<0>`", target[2]).rstrip("?")
            rows.append((f"`make {target[1]}`", f"{meaning}.{needs}"))
    return "\n".join(f"### {title}\n\n{table(('target', 'what it does'), rows)}" for title, rows in parts if rows)


def make_targets() -> str:
    """Write the targets of a project and of the template."""
    return page(
        "Make targets",
        "`make` alone lists them.\n",
        f"## In a project\n\n{targets(ROOT / 'template/Makefile.jinja')}",
        f"## In the template's repository\n\n{targets(ROOT / 'Makefile')}",
    )


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for write in (configuration, commands, make_targets, errors, ledger, api):
        (folder / f"{write.__name__.replace('_', '-')}.md").write_text(write(), encoding="utf-8")
    for name in ("agent", "checklist"):
        shutil.copyfile(TOOLKIT / "docs" / f"{name}.md", folder / f"{name}.md")


if __name__ == "__main__":
    main()
