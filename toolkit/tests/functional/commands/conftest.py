"""A command line in a folder with the configuration that is shipped, and a ledger that is full of hostile texts."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_cases import ESCAPES, LEDGER, Run
from example_app import app
from typer.testing import CliRunner, Result

from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, now

EXAMPLE = Path(__file__).parents[2] / "example"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder with the configuration that is shipped."""
    shutil.copytree(EXAMPLE / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", LEDGER)
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("COLUMNS", "80")

    def invoke(*words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=given)

    return invoke


@pytest.fixture
def hostile(run: Run, look: Any) -> Run:
    """A ledger whose every text comes from somebody hostile, and is long."""
    started, text = now(), f"word {ESCAPES}\nfake: line {'long ' * 40}"
    interaction = Interaction("a" * 32, started, prompt=text, chain=text, cost_center=text, user=text, status="ok")
    interaction.request = interaction.response = interaction.model = interaction.error = text
    attempt = Attempt("b" * 32, "a" * 32, 1, "main", started, cost_center=text, prompt=text, model=text, error=text)
    attempt.reserved = attempt.cost = 246_000_000
    escalation = Escalation("c" * 32, "a" * 32, started, "key", text, text, text, draft=text)

    async def store(ledger: Any) -> None:
        await ledger.reserve(attempt, interaction, {}, 60)
        await ledger.settle(attempt)
        await ledger.record(interaction)
        await ledger.escalate(escalation)

    look(LEDGER, store)
    return run


@pytest.fixture
def no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM__CANDIDATES__MAIN__PRICE", '{"input": "1", "output": "1"}')
    monkeypatch.setenv("LLM__BUDGETS__OVERALL__DAY", "0")
