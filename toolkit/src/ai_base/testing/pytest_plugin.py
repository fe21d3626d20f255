"""The pytest plugin: markers by folder, a network tripwire, and tests that do not see the developer's settings.

pytest loads it by itself wherever ai-base is installed. It acts on tests in `tests/unit`, `tests/functional` and
`tests/integration` of the project that pytest runs in.
"""

import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog

KINDS = {
    "unit": "logic alone; a socket fails the test",
    "functional": "whole features; sockets reach this machine only",
    "integration": "real services; skipped when their settings are missing",
}
REMEDIES = {
    "unit": "use a double, or move the test to tests/functional",
    "functional": "use a double or a server on this machine, or move the test to tests/integration",
}
_KIND = pytest.StashKey[str]()


@pytest.hookimpl(wrapper=True)  # so that it runs before coverage starts
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Import the table of prices before it could be traced.

    It is one statement of 30,000 lines, and CPython 3.12 looks each traced line up from the beginning: an import of
    0.03 seconds would take 18.
    """
    if getattr(early_config.known_args_namespace, "cov_source", None):
        with suppress(ImportError):
            import_module("genai_prices.data")
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for kind, meaning in KINDS.items():
        config.addinivalue_line("markers", f"{kind}: {meaning}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the marker of its folder, so that `-m unit` selects exactly the unit tests."""
    tests = config.rootpath / "tests"
    for item in items:
        if not item.path.is_relative_to(tests):
            continue
        folder = item.path.relative_to(tests).parts[0]
        if folder not in KINDS:
            raise pytest.UsageError(f"{item.path}: a test belongs in one of tests/{', tests/'.join(KINDS)}")
        item.add_marker(folder)
        item.stash[_KIND] = folder


# ---- The developer's settings ----


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Hide settings also while test modules are imported: some read the configuration to parametrize tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _settings_in_the_environment(session.config.rootpath):
            patch.delenv(name)
        patch.setenv("AI_BASE_ENV_FILE", os.devnull)
        return (yield)


@pytest.fixture(scope="session")
def _no_env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("settings") / "empty.env"
    file.touch()
    return file


@pytest.fixture(autouse=True)
def _own_settings(
    request: pytest.FixtureRequest, _no_env_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Hide `.env` and every variable that could be a setting; give the test databases of its own."""
    if request.node.stash.get(_KIND, "integration") == "integration":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in _settings_in_the_environment(request.config.rootpath):
            patch.delenv(name)
        patch.setenv("AI_BASE_ENV_FILE", str(_no_env_file))
        folder = tmp_path_factory.mktemp("database")
        patch.setenv("DATABASE_URL", f"sqlite:///{folder}/test.db")
        patch.setenv("DOCUMENTS_INDEX", f"{folder}/documents.db")
        yield


def _settings_in_the_environment(root: Path) -> list[str]:
    example = root / ".env.example"
    documented = example.read_text(encoding="utf-8") if example.exists() else ""
    named = set(re.findall(r"^#? ?(\w+)=", documented, re.MULTILINE))
    return [
        name
        for name in os.environ
        if name.upper() in named | {"LOG_LEVEL", "LOG_FORMAT"}
        or name.upper().startswith("LLM_")
        or name.upper().endswith("_API_KEY")
    ]


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Undo what a test does to the logging of the process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, logging.Handler.handleError
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:], logging.root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks[:3]
    logging.Handler.handleError = hooks[3]  # type: ignore[method-assign, assignment, unused-ignore]
    structlog.reset_defaults()


# ---- The network ----


class NetworkUseError(RuntimeError):
    """A test used the network although its folder forbids it."""


@dataclass
class Tripwire:
    """Watches every socket of the process through the interpreter's audit events, whoever opens it."""

    kind: str | None = None
    """Folder of the test that runs; only unit and functional tests are watched."""
    tripped: list[str] = field(default_factory=list)
    """What the running test reached for."""

    def forgive(self) -> None:
        """Forget what the running test reached for: for a test whose subject is the tripwire."""
        self.tripped.clear()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        if self.kind not in ("unit", "functional") or not event.startswith("socket."):
            return
        if event == "socket.__new__" and self.kind == "unit" and args[1] != socket.AF_UNIX:  # event loops use those
            self._trip("a socket")
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(args[1], tuple):
            self._check_host(args[1][0])
        if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            self._check_host(args[0])

    def describe(self) -> str:
        """Say what the running test reached for, and what to do instead."""
        return f"a {self.kind} test reached for {', '.join(self.tripped)}: {REMEDIES.get(self.kind or '', '')}"

    def _check_host(self, host: object) -> None:
        if not _is_local(host):
            self._trip(str(host))

    def _trip(self, target: str) -> None:
        self.tripped.append(target)
        raise NetworkUseError(self.describe())


def _is_local(host: object) -> bool:
    name = os.fsdecode(host) if isinstance(host, (str, bytes)) else ""
    try:
        return name in ("", "localhost") or ip_address(name).is_loopback
    except ValueError:
        return False


_tripwire = Tripwire()
sys.addaudithook(_tripwire)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watch the fixtures as well, those of the session included."""
    _tripwire.kind, _tripwire.tripped = item.stash.get(_KIND, None), []
    try:
        return (yield)
    finally:
        _tripwire.kind = None


@pytest.fixture
def network_tripwire() -> Tripwire:
    """Return the tripwire that watches the running test."""
    return _tripwire


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """Fail a test that used the network, even where its code swallowed the error."""
    yield
    if _tripwire.tripped:
        pytest.fail(_tripwire.describe())
