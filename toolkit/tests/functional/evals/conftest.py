"""A project with a dataset, whose candidates are at a provider on this machine; and its commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from eval_cases import CONFIG, PROMPT, Eval, answer, cases, write
from typer.testing import CliRunner, Result

from ai_base.cli import create_app
from ai_base.evals.commands import create_commands
from ai_base.settings import AppSettings
from ai_base.testing.loopback import LoopbackProvider


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackProvider]:
    """A project whose candidates are at a provider on this machine, which answers well."""
    for name, value in {"PROVIDER_KEY": "key-for-tests", "LOG_LEVEL": "ERROR", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setattr("pydantic_ai.models.ALLOW_MODEL_REQUESTS", True)
    monkeypatch.chdir(tmp_path)
    with LoopbackProvider(answer) as server:
        write("config/llm.toml", CONFIG.format(url=server.url))
        write("config/prompts/triage.md", PROMPT)
        write("evals/triage/cases.jsonl", cases())
        yield server


@pytest.fixture
def run(provider: LoopbackProvider) -> Eval:
    """Run a command: `run("eval", "--live")`."""
    del provider
    app = create_app("ai_base", AppSettings)
    app.add_typer(create_commands("eval_cases"))

    def invoke(*words: str, expect: int | None = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert expect in (None, result.exit_code), result.output
        return result

    return invoke


@pytest.fixture
def accepted(run: Eval) -> Eval:
    """The same with recorded replies and a baseline."""
    run("eval", "--record")
    run("eval", "--accept")
    return run
