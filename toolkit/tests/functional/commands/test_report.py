"""How a command reports an answer: what is printed, and the exit code that a script reads."""

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from command_cases import BILL, Run

from ai_base.llm.commands import report
from ai_base.llm.commands.report import describe
from ai_base.llm.gateway.answers import Answer


def test_an_offline_answer_is_printed_with_a_line_that_says_how_to_name_a_model(run: Run) -> None:
    result = run("triage", "-", given=BILL)

    assert result.exit_code == 0
    assert json.loads(result.stdout)["category"] == "billing"
    assert result.stderr == (
        "No model was asked: the offline model computed this from the prompt's words, $0.00. "
        "To ask a real one, name it in config/llm.toml, [candidates.main].\n"
    )


def test_the_offline_model_never_makes_work_for_a_person(run: Run) -> None:
    result = run("triage", "-", given="Hello there")

    assert json.loads(result.stdout)["confidence"] == 0
    assert run("escalations", "list", "--all").stdout == ""


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
def test_an_escalation_without_a_draft_has_the_same_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful(monkeypatch)

    result = run("triage", "-", "--human", given=BILL)

    assert (result.exit_code, result.stdout) == (4, "")
    assert "waits for a person" in result.stderr


def test_a_models_answer_names_the_model_the_cost_and_what_was_repaired() -> None:
    answer = Answer("yes", "model", "some-model", Decimal("0.246"), 1, "i")
    repaired = replace(answer, repairs=("missing comma", "missing brace"))
    cached = replace(answer, source="cache", model="", cost=Decimal(0), fallback_reason="asked before")

    assert describe(answer) == "Answered by some-model, $0.246."
    assert describe(repaired).endswith(", $0.246. Its syntax was repaired: missing comma; missing brace.")
    assert describe(cached) == "Answered by the cache (asked before), $0.00."


@pytest.mark.parametrize(
    ("output", "printed"), [("plain text", "plain text"), ([1, {"a": "ä"}], '[\n  1,\n  {\n    "a": "ä"\n  }\n]')]
)
def test_text_is_printed_as_it_is_and_everything_else_as_json(
    capsys: pytest.CaptureFixture[str], output: object, printed: str
) -> None:
    report(Answer(output, "model", "some-model", Decimal(0), 1, "i"))

    assert capsys.readouterr().out == f"{printed}\n"
