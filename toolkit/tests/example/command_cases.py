"""What the tests of the commands share."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import Result

BILL = "I was charged twice, my invoice is wrong"
LEDGER = "sqlite:///ledger.db"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\U000e0041"
"""Clears a terminal, sets its title, turns the direction, colours, hides."""

VISIBLE_REST = "[2J]0;owned31m"
"""What is left of `ESCAPES` when all that acts is gone."""

type Run = Callable[..., Result]


class Outcome(NamedTuple):
    """What a run of pytest ended with."""

    returncode: int | None
    stdout: str


@cache
def _forks() -> ForkServerContext:
    """Return processes that begin with what a written test imports, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "ai_base.agent", "ai_base.llm.gateway.gateway", "ai_base.testing.replay"])
    return context


def _main(test: Path, folder: Path, variables: dict[str, str], printed: str) -> None:
    with Path(printed).open("w", encoding="utf-8") as file:
        for output in (1, 2):
            os.dup2(file.fileno(), output)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", str(test)]))


def run_pytest(test: Path) -> Outcome:
    """Run a file of tests in a process of its own."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        process = _forks().Process(target=_main, args=(test, Path.cwd(), dict(os.environ), printed.name), daemon=True)
        process.start()
        process.join(300)
        return Outcome(process.exitcode, printed.read())
