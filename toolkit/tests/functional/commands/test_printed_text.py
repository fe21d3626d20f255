"""What the commands print: it fits the terminal, cannot change it, and says what to do."""

from pathlib import Path
from typing import Any

import pytest
from command_cases import ESCAPES, LEDGER, VISIBLE_REST, Run

from ai_base.llm.ledger.records import Interaction, now


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (["spend", "--since", "last week"], "say today, yesterday, 7d or a day such as 2026-11-23"),
        (["spend", "--since", "2026-13-01"], "say today, yesterday, 7d or a day such as 2026-11-23"),
        (["spend", "--since", "99999d"], "say today, yesterday, 7d or a day such as 2026-11-23"),
        (["interactions", "--status", "successful"], "'ok', 'failed', 'refused' or 'lost'"),
        (["interactions", "--source", "gpt"], "'model', 'cache', 'fallback' or 'human'"),
    ],
)
def test_an_unknown_value_of_an_option_is_an_error_that_says_what_to_type(run: Run, words: list[str], say: str) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert say in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (["spend"], "Nothing was spent yet. Each call of a model is recorded"),
        (["spend", "--since", "2026-11-23"], "Nothing was spent since 2026-11-23."),
        (["interactions"], "No interactions yet. Ask a model first."),
        (["interactions", "--status", "failed"], "No interaction matches; leave out an option."),
        (["escalations", "list"], "No question waits for a person. --all lists the answered ones."),
        (["escalations", "list", "--all"], "No escalations yet."),
    ],
)
def test_where_there_is_nothing_the_command_says_what_to_do(run: Run, words: list[str], say: str) -> None:
    result = run(*words)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(say)


@pytest.mark.parametrize(
    "words",
    [
        ["interactions"],
        ["escalations", "list"],
        *(["spend", "--by", by] for by in ("cost_center", "model", "prompt", "day")),
    ],
)
def test_a_table_fits_eighty_columns(hostile: Run, words: list[str]) -> None:
    lines = hostile(*words).stdout.splitlines()

    assert len(lines) > 1
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    "words",
    [
        ["interactions"],
        ["interactions", "a"],
        ["interactions", f"no such {ESCAPES}"],
        ["escalations", "list"],
        ["escalations", "answer", f"x{ESCAPES}", "text"],
        ["spend", "--by", "model", "--plot", "spend.svg"],
        ["spend", "--by", "cost_center"],
        ["replay", "a"],
    ],
)
def test_nothing_that_is_stored_or_typed_changes_the_terminal(hostile: Run, words: list[str]) -> None:
    result = hostile(*words)
    drawn = Path("spend.svg").read_text(encoding="utf-8") if "--plot" in words else ""

    assert result.output
    assert set(result.output + drawn) & (set(ESCAPES) - set(VISIBLE_REST)) == set()


def test_a_stored_text_cannot_forge_a_line(hostile: Run) -> None:
    for words in (["interactions"], ["interactions", "a"], ["escalations", "list"], ["spend", "--by", "prompt"]):
        assert [line for line in hostile(*words).stdout.splitlines() if line.startswith("fake")] == []


def test_a_replay_shows_both_answers_without_control_characters(run: Run, look: Any) -> None:
    row = Interaction("a" * 32, now(), "triage", chain="default", request="hello", response=ESCAPES, model=ESCAPES)
    look(LEDGER, lambda ledger: ledger.record(row))

    result = run("replay", "a")

    assert result.exit_code == 0
    then, repeated = result.stdout.splitlines()
    assert then == f"then ({VISIBLE_REST}, $0.00): {VISIBLE_REST}"
    assert repeated.startswith("now  (offline, $0.00): [offline, no model was asked] hello")


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        ("config", "llm.toml:"),
        ("prompt", "triage.md"),
        ("database", "ledger"),
        ("budget", "budget"),
    ],
)
def test_an_error_is_printed_in_one_line(
    run: Run, breakage: str, message: str, look: Any, monkeypatch: pytest.MonkeyPatch
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
    assert message in result.stderr
