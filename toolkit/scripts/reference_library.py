"""The pages of the reference about the library: its errors, the tables of its ledger, its API."""

import asyncio
import importlib
import re
import sqlite3
import tempfile
import tomllib
from pathlib import Path

from reference_text import first_line, page, table
from reference_types import described, meanings

from ai_base.errors import AIBaseError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.schema import TABLES
from ai_base.testing.doubles import ScriptError
from ai_base.testing.pytest_plugin import NetworkUseError
from ai_base.text.reply import ReplyError

TOOLKIT = Path(__file__).parents[1]
CURES = Path(__file__).with_name("reference_cures.toml")

# ---- Errors ----


def errors() -> str:
    """Write every error that a user may see, with its cause and its cure.

    Raises:
        SystemExit: An error has no cure, or a cure no error.
    """
    for path in (TOOLKIT / "src").rglob("*.py"):
        if re.search(r"^class \w+Error\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            importlib.import_module(".".join(path.relative_to(TOOLKIT / "src").with_suffix("").parts))
    found = {each.__name__: each for each in [*_subclasses(AIBaseError), ReplyError, ScriptError, NetworkUseError]}
    cures = {name: cure for group in tomllib.loads(CURES.read_text("utf-8")).values() for name, cure in group.items()}
    bases = {name for name, each in found.items() if first_line(each.__doc__, name).startswith("Base class")}
    if wrong := (found.keys() - bases) ^ cures.keys():
        raise SystemExit(f"{CURES.name}: a cure is missing, or its error: {', '.join(sorted(wrong))}")
    parts = []
    for title, group in tomllib.loads(CURES.read_text("utf-8")).items():
        parts.append(f"## {title}\n")
        for name, cure in group.items():
            error = found[name]
            exit_code = getattr(error, "exit_code", 1)
            code = f" A command ends with {exit_code}." if exit_code != 1 else ""
            source = f"`{error.__module__}.{name}`, a `{error.__bases__[0].__name__}`.{code}"
            parts.append(f"### {name}\n\n{first_line(error.__doc__, name)}\n\n**Do:** {cure}\n\n{source}\n")
    return page(
        "Errors",
        "Except for the last group, they are `ai_base.errors.AIBaseError`. The message says what is wrong and has the "
        "numbers; a command prints it as one line.\n",
        *parts,
    )


def _subclasses(kind: type[Exception]) -> list[type[Exception]]:
    return [each for child in kind.__subclasses__() for each in (child, *_subclasses(child))]


# ---- The ledger ----


def ledger() -> str:
    """Write the tables of an empty ledger."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        asyncio.run(_make_ledger(path))
        with sqlite3.connect(path) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = {name: database.execute(f"PRAGMA table_info({name})").fetchall() for name in sorted(names)}
    kinds = {name: kind for kind, name in TABLES.items()}
    parts = []
    for name, about in _ABOUT.items():
        kind = kinds.get(name)
        docs = meanings(kind) if kind else {}
        rows = [(f"`{each[1]}`", each[2].lower(), docs.get(each[1], "")) for each in columns.pop(name)]
        parts.append(f"## `{name}`\n\n{about}\n\n{table(('column', 'type', 'meaning'), rows)}")
    if columns:
        raise SystemExit(f"the ledger has tables that the reference says nothing about: {', '.join(columns)}")
    return page(
        "The ledger's tables",
        "The same in SQLite and PostgreSQL. Money is in nanodollars (10⁻⁹ US dollars), as whole numbers; times are "
        "UTC, in ISO 8601. Rows of `interactions` and `attempts` are never changed.\n",
        *parts,
    )


_ABOUT = {
    "interactions": "One question to the AI and its outcome.",
    "attempts": "One request to one provider.",
    "steps": "One step of an agent's run.",
    "escalations": "A question that waits for a person's answer, or has one.",
    "reservations": "Attempts until they are settled, and interactions until they are recorded, as JSON.",
    "counters": "What each cap has spent and holds in its current period.",
    "spend_by_day": "Sums that stay when old rows are deleted.",
    "pruning": "Has a row only inside a transaction that may delete rows.",
    "pruned": "The times before which attempts were deleted.",
    "schema": "The versions of the tables, the newest last.",
}


async def _make_ledger(path: Path) -> None:
    await (await Ledger.open(f"sqlite:///{path}")).close()


# ---- The API ----

_API = {
    "The gateway": ["ai_base.llm"],
    "Agents": ["ai_base.agent"],
    "Documents": ["ai_base.documents"],
    "Evals": ["ai_base.evals", "ai_base.evals.evaluators"],
    "Doubles and faults": ["ai_base.testing.doubles", "ai_base.testing.faults"],
    "A provider on this machine": ["ai_base.testing.loopback"],
    "Recordings": ["ai_base.testing.replay"],
    "Settings, command line and logs": ["ai_base.settings", "ai_base.cli", "ai_base.logging"],
    "Replies": ["ai_base.text.reply"],
}


def api() -> str:
    """Name the public objects; the site's generator writes what their docstrings say. Errors have their own page."""
    parts = []
    for title, modules in _API.items():
        parts.append(f"## {title}\n")
        for name in modules:
            module = importlib.import_module(name)
            public = getattr(module, "__all__", None) or [
                each
                for each, value in vars(module).items()
                if not each.startswith("_") and getattr(value, "__module__", "") == name and described(value)
            ]
            objects = [getattr(module, each) for each in public]
            paths = dict.fromkeys(
                f"{each.__module__}.{getattr(each, '__qualname__', each.__name__)}" for each in objects
            )
            parts.append(f"From `{name}`:\n")
            parts += [f"::: {path}\n" for path in paths if not path.endswith("Error")]
    return page("API", "From the docstrings of `ai_base`.\n", *parts)
