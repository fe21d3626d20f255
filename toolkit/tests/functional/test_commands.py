"""The commands, as somebody at a terminal uses them: the ledger's reports, escalations, replay, and the example."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_app import app
from typer.testing import CliRunner, Result

from ai_base.llm.ledger.records import Interaction, now

EXAMPLE = Path(__file__).parents[1] / "example"
BILL = "I was charged twice, my invoice is wrong"

type Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Run:  # noqa: ARG001
    """Run a command in a folder with the configuration that is shipped."""
    shutil.copytree(EXAMPLE / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///ledger.db")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")

    def invoke(*words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=given)

    return invoke


def test_a_ticket_is_triaged_at_once_and_says_that_no_model_was_asked(run: Run) -> None:
    result = run("triage", "-", given=BILL)

    assert result.exit_code == 0
    assert json.loads(result.stdout)["category"] == "billing"
    assert "model offline, $0" in result.stderr


def test_spend_is_summed_up(run: Run) -> None:
    run("triage", "-", given=BILL)
    run("triage", "-", given="The app crashes when I open it")

    result = run("spend", "--by", "cost_center")

    assert result.exit_code == 0
    header, row, total = result.stdout.splitlines()
    assert re.split(r"  +", header) == ["cost_center", "calls", "input tokens", "output tokens", "US dollars"]
    assert row.split()[:2] == ["support", "2"]
    assert total == "total: $0"


def test_spend_is_drawn(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--plot", "spend.png")

    assert "picture: spend.png" in result.stdout
    assert Path("spend.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_picture_that_cannot_be_written_is_an_error_in_one_line(run: Run) -> None:
    result = run("spend", "--plot", "no-folder/spend.png")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no-folder/spend.png" in result.stderr


def test_interactions_are_listed_filtered_and_shown_in_full(run: Run) -> None:
    run("triage", "-", given=BILL)

    listed = run("interactions", "--prompt", "triage").stdout.splitlines()
    none = run("interactions", "--status", "failed").stdout.splitlines()
    shown = run("interactions", listed[1].split()[0][:12]).stdout

    assert (len(listed), len(none)) == (2, 1)
    assert "charged twice" in shown
    assert "attempt 1" in shown
    assert re.search(r"candidate: +main", shown)


def test_an_interaction_that_does_not_exist_is_an_error_in_one_line(run: Run) -> None:
    result = run("interactions", "no-such-id")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "no-such-id" in result.stderr


def test_a_doubtful_answer_waits_for_a_person_and_the_answer_serves(run: Run) -> None:
    ticket = "Hello there"  # holds nothing that the offline model could be sure of
    assert "draft" in run("triage", "-", given=ticket).stderr
    listed = run("escalations", "list").stdout
    identity = listed.split()[0]
    assert "Hello there" in listed

    wrong = run("escalations", "answer", identity, '{"category": "weather"}')
    right = {"category": "other", "urgency": 1, "summary": "Says hello", "confidence": 1}
    answered = run("escalations", "answer", identity, json.dumps(right), "--by", "ada")

    assert (wrong.exit_code, answered.exit_code) == (1, 0)
    assert "Input should be 'billing', 'bug', 'question' or 'other'" in wrong.stderr
    assert run("escalations", "list").stdout == ""
    assert "by ada" in run("escalations", "list", "--all").stdout
    assert json.loads(run("triage", "-", given=ticket).stdout) == right


def test_an_interaction_is_replayed(run: Run, look: Any) -> None:
    run("triage", "-", given=BILL)
    [row] = look("sqlite:///ledger.db", lambda ledger: ledger.interactions(1))

    result = run("replay", row.id)

    assert result.exit_code == 0
    then, now = result.stdout.splitlines()
    assert then.startswith("then (offline, $0): {")
    assert now.partition(": ")[2] == then.partition(": ")[2]


@pytest.mark.parametrize(
    ("breakage", "told"),
    [
        ("config", "llm.toml:"),
        ("prompt", "triage.md"),
        ("database", "ledger"),
        ("budget", "budget"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(
    run: Run, breakage: str, told: str, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if breakage == "config":
        Path("config/llm.toml").write_text("[candidates", encoding="utf-8")
    elif breakage == "prompt":
        Path("config/prompts/triage.md").unlink()
    elif breakage == "database":
        Path("ledger.db").mkdir()
    else:
        monkeypatch.setenv("LLM__CANDIDATES__MAIN__PRICE", '{"input": "1", "output": "1"}')
        monkeypatch.setenv("LLM__BUDGETS__OVERALL__DAY", "0")
        row = Interaction(id="recorded", started_at=now(), prompt="triage", chain="default", request="hello")
        look("sqlite:///ledger.db", lambda ledger: ledger.record(row))
    words = ("triage", "-") if breakage != "budget" else ("replay", "recorded")

    result = run(*words, given="hello")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert told in result.stderr
