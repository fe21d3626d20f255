"""The commands, as a person at a terminal uses them: reports of the ledger, escalations, replay, and the example."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from example_app import app
from typer.testing import CliRunner, Result

from ai_base.llm.commands.bar_chart import bar_chart
from ai_base.llm.ledger.records import Attempt, Escalation, Interaction, now

EXAMPLE = Path(__file__).parents[1] / "example"
BILL = "I was charged twice, my invoice is wrong"
LEDGER = "sqlite:///ledger.db"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\U000e0041"
"""Clears a terminal, sets its title, turns the direction, colours, hides."""

type Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Run:  # noqa: ARG001
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
    fields = {"prompt": text, "chain": text, "cost_center": text, "user": text, "request": text, "response": text}
    interaction = Interaction(id="a" * 32, started_at=started, status="ok", model=text, error=text, **fields)
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


# ---- An answer, reported ----


def test_an_offline_answer_is_printed_with_a_line_that_says_how_to_name_a_model(run: Run) -> None:
    result = run("triage", "-", given=BILL)

    assert result.exit_code == 0
    assert json.loads(result.stdout)["category"] == "billing"
    assert result.stderr == (
        "No model was asked: the offline model computed this from the words, $0.00. "
        "To ask a real one, name it in config/llm.toml, [candidates.main].\n"
    )


def test_the_offline_model_never_makes_work_for_a_person(run: Run) -> None:
    result = run("triage", "-", given="Hello there")

    assert json.loads(result.stdout)["confidence"] == 0
    assert run("escalations", "list", "--all").stdout == ""


@pytest.fixture
def no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM__CANDIDATES__MAIN__PRICE", '{"input": "1", "output": "1"}')
    monkeypatch.setenv("LLM__BUDGETS__OVERALL__DAY", "0")


@pytest.mark.usefixtures("no_budget")
def test_a_fallback_is_no_success(run: Run) -> None:
    result = run("triage", "-", "--fallback", given=BILL)

    assert result.exit_code == 3
    assert json.loads(result.stdout)["summary"] == "Not triaged: no model answered."
    assert re.fullmatch(
        r"No model answered: BudgetExceededError: budget .*\. This is the simple fallback answer\. Cost: \$0\.00\.\n",
        result.stderr,
    )


@pytest.mark.usefixtures("no_budget")
def test_a_refused_budget_without_a_fallback_is_an_error(run: Run) -> None:
    result = run("triage", "-", given=BILL)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "budget" in result.stderr


def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the offline model pass for a real one, whose doubts count."""
    monkeypatch.setattr("ai_base.llm.candidates.offline.OfflineModel.system", "somebody")


def test_a_draft_waits_for_a_person_and_the_persons_answer_serves(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful(monkeypatch)

    draft = run("triage", "-", given=BILL)
    listed = run("escalations", "list").stdout
    identity = listed.split()[0]

    assert (draft.exit_code, json.loads(draft.stdout)["category"]) == (4, "billing")
    assert re.fullmatch(
        r"A draft by offline, \$0\.00\. It waits for a person: confidence 0\.0 is below 0\.6\. "
        rf"To answer: escalations answer {identity}\w+ TEXT\n",
        draft.stderr,
    )
    assert BILL in listed

    wrong = run("escalations", "answer", identity, '{"category": "weather"}')
    right = {"category": "other", "urgency": 1, "summary": "Says hello", "confidence": 1}
    answered = run("escalations", "answer", identity, json.dumps(right), "--by", "ada")

    assert (wrong.exit_code, answered.exit_code) == (1, 0)
    assert "Input should be 'billing', 'bug', 'question' or 'other'" in wrong.stderr
    assert run("escalations", "list").stdout == ""
    assert "by ada" in run("escalations", "list", "--all").stdout

    again = run("triage", "-", given=BILL)

    assert (again.exit_code, json.loads(again.stdout)) == (0, right)
    assert again.stderr == "Answered by a person (answered by a person), $0.00.\n"
    assert run("escalations", "answer", identity, "{}").stderr.endswith("has been answered by ada\n")


@pytest.mark.usefixtures("no_budget")
def test_what_waits_for_a_person_without_a_draft_has_the_same_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubtful(monkeypatch)

    result = run("triage", "-", "--human", given=BILL)

    assert (result.exit_code, result.stdout) == (4, "")
    assert "waits for a person" in result.stderr


# ---- Spend ----


def test_spend_is_summed_up(run: Run) -> None:
    run("triage", "-", given=BILL)
    run("triage", "-", given="The app crashes when I open it")

    result = run("spend", "--by", "cost_center")

    assert result.exit_code == 0
    header, row, total = result.stdout.splitlines()
    assert re.split(r"  +", header) == ["cost_center", "calls", "input tokens", "output tokens", "US dollars"]
    assert row.split()[:2] == ["support", "2"]
    assert total == "total: $0.00"


@pytest.mark.parametrize(("since", "days"), [("today", 0), ("yesterday", 1), ("7d", 7), ("", None)])
def test_spend_starts_at_a_day(run: Run, look: Any, since: str, days: int | None) -> None:
    today = datetime.now(UTC)
    for age in (0, 1, 7, 8):
        started = (today - timedelta(days=age)).isoformat(timespec="microseconds")
        attempt = Attempt(f"attempt{age}", "interaction", 1, "main", started, status="ok", model="m")
        attempt.reserved = attempt.cost = 10**9

        async def store(ledger: Any, attempt: Attempt = attempt) -> None:
            await ledger.reserve(attempt, Interaction("interaction", attempt.started_at), {}, 60)
            await ledger.settle(attempt)

        look(LEDGER, store)

    shown = run("spend", *(["--since", since] if since else [])).stdout.splitlines()[1:-1]
    same = run("spend", "--since", f"{today - timedelta(days=8 if days is None else days):%Y-%m-%d}")

    assert len(shown) == {0: 1, 1: 2, 7: 3, None: 4}[days]
    assert same.stdout.splitlines()[1:-1] == shown


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


def test_spend_is_drawn(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--by", "cost_center", "--plot", "spend.svg")

    assert "picture: spend.svg" in result.stdout
    assert "support" in "".join(ET.parse("spend.svg").getroot().itertext())  # noqa: S314 - our own


def test_bars_start_at_zero_and_their_lengths_are_in_proportion() -> None:
    amounts = [("zero", Decimal(0)), ("one", Decimal(1)), ("</text>", Decimal(4))]
    picture = ET.fromstring(bar_chart("Spend", amounts))  # noqa: S314 - our own

    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in picture.findall(".//{*}rect")]

    assert len({x for x, _ in bars}) == 1
    assert [width / bars[2][1] for _, width in bars] == [0, 0.25, 1]
    assert "prefers-color-scheme: dark" in "".join(picture.itertext())


def test_only_svg_is_written(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--plot", "spend.png")

    assert result.exit_code == 2
    assert "say spend.svg" in result.stderr


def test_a_picture_that_cannot_be_written_is_an_error_in_one_line(run: Run) -> None:
    run("triage", "-", given=BILL)

    result = run("spend", "--plot", "no-folder/spend.svg")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no-folder/spend.svg" in result.stderr


# ---- Tables and texts ----


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
    assert set(result.output + drawn) & (set(ESCAPES) - set("[2J]0;owned31m")) == set()


def test_a_stored_text_cannot_forge_a_line(hostile: Run) -> None:
    for words in (["interactions"], ["interactions", "a"], ["escalations", "list"], ["spend", "--by", "prompt"]):
        assert [line for line in hostile(*words).stdout.splitlines() if line.startswith("fake")] == []


def test_a_replay_shows_both_answers_without_control_characters(run: Run, look: Any) -> None:
    row = Interaction("a" * 32, now(), "triage", chain="default", request="hello", response=ESCAPES, model=ESCAPES)
    look(LEDGER, lambda ledger: ledger.record(row))

    result = run("replay", "a")

    assert result.exit_code == 0
    then, repeated = result.stdout.splitlines()
    assert then == "then ([2J]0;owned31m, $0.00): [2J]0;owned31m"
    assert repeated.startswith("now  (offline, $0.00): [offline, no model was asked] hello")


def test_interactions_are_listed_filtered_and_shown_in_full(run: Run) -> None:
    run("triage", "-", given=BILL)

    listed = run("interactions", "--prompt", "triage").stdout.splitlines()
    shown = run("interactions", listed[1].split()[0]).stdout

    assert len(listed) == 2
    assert re.split(r"  +", listed[0]) == [
        "id", "started (UTC)", "prompt", "cost centre", "outcome", "calls", "US dollars",
    ]  # fmt: skip
    assert re.split(r"  +", listed[1])[2:] == ["triage", "support", "model", "1", "0.000000"]
    assert "charged twice" in shown
    assert "attempt 1" in shown
    assert re.search(r"candidate: +main", shown)


def test_the_listed_start_of_an_id_is_as_long_as_it_takes(run: Run, look: Any) -> None:
    for identity in ("a" * 20 + "1", "a" * 20 + "2"):
        look(LEDGER, lambda ledger, identity=identity: ledger.record(Interaction(identity, now())))

    listed = [line.split()[0] for line in run("interactions").stdout.splitlines()[1:]]

    assert listed == ["a" * 20 + "2", "a" * 20 + "1"]
    assert [run("interactions", each).exit_code for each in (*listed, "aaa")] == [0, 0, 1]


def test_an_ambiguous_or_unknown_escalation_is_an_error(run: Run, look: Any) -> None:
    for identity in ("ab1", "ab2"):
        escalation = Escalation(identity, "i", now(), identity, "reason", "prompt", "request")
        look(LEDGER, lambda ledger, escalation=escalation: ledger.escalate(escalation))

    assert "several escalations start with 'ab'" in run("escalations", "answer", "ab", "yes").stderr
    assert "no escalation starts with 'x'" in run("escalations", "answer", "x", "yes").stderr
    assert run("escalations", "answer", "ab2", "yes").stdout == "answered ab2\n"


def test_a_long_question_is_cut_and_says_where_all_of_it_is(hostile: Run, look: Any) -> None:
    escalation = Escalation("d" * 32, "e" * 32, now(), "other", "why", "prompt", "line\n" * 50)
    look(LEDGER, lambda ledger: ledger.escalate(escalation))

    listed = hostile("escalations", "list").stdout

    assert listed.count("line\n") < 15
    assert f"… all of it: interactions {'e' * 32}" in listed


def test_an_interaction_that_does_not_exist_is_an_error_in_one_line(run: Run) -> None:
    result = run("interactions", "no-such-id")

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "no-such-id" in result.stderr


def test_an_interaction_is_replayed(run: Run, look: Any) -> None:
    run("triage", "-", given=BILL)
    [row] = look("sqlite:///ledger.db", lambda ledger: ledger.interactions(1))

    result = run("replay", row.id)

    assert result.exit_code == 0
    then, now = result.stdout.splitlines()
    assert then.startswith("then (offline, $0.00): {")
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
