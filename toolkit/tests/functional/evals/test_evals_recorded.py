"""Recorded replies: what is asked anew, what is wrong with cases, and what turns the gate red."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import eval_cases
import pytest
from eval_cases import FOLDER, NUMBER, PROMPT, TRIAGE, Eval, answer, cases, gate, rows, write

from ai_base.evals import EvalError
from ai_base.llm import Gateway
from ai_base.testing.loopback import LoopbackProvider


def test_recorded_replies_need_no_provider_and_no_key(
    accepted: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = provider.count
    monkeypatch.delenv("PROVIDER_KEY")

    result = accepted("eval")

    assert provider.count == asked == NUMBER
    assert ["category", "1.00", "1.00", "0", "0", "1.000", "same"] in rows(result)
    assert gate() == []
    baseline = json.loads((FOLDER / "baseline.json").read_text())
    assert baseline["models"] == ["small"]
    assert [*baseline["prompts"]] == ["triage"]
    assert baseline["cases"]["case-0"]["scores"] == {"valid": 1, "category": 1, "urgency": 1, "brief": 1}
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("file", "old", "new", "shown"),
    [
        ("config/prompts/triage.md", "Triage this", "Please triage this", "+Please triage this ticket."),
        ("config/prompts/triage.md", "Triage", "+++\ntemperature = 1.0\n+++\nTriage", "+version "),
        ("config/llm.toml", "openai-chat:small", "openai-chat:newer", "+model openai-chat:newer"),
    ],
)
def test_a_change_of_prompt_or_model_is_a_miss_that_names_the_command(
    accepted: Eval, file: str, old: str, new: str, shown: str
) -> None:
    write(file, Path(file).read_text().replace(old, new))

    result = accepted("eval", expect=1)

    assert "20 of 20 cases ask what is not recorded" in result.stderr
    assert "To ask the model and record: make eval RECORD=1" in result.stderr
    assert shown in result.stderr
    with pytest.raises(EvalError, match="RECORD=1"):
        gate()


def test_a_miss_that_the_code_swallows_is_a_miss(accepted: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    del accepted

    async def careless(gateway: Gateway, inputs: dict[str, Any]) -> object:
        try:
            return await eval_cases.triage(gateway, inputs)
        except BaseException:  # noqa: BLE001
            return {"category": "billing", "urgency": 3}

    monkeypatch.setitem(vars(TRIAGE), "task", careless)
    write("config/prompts/triage.md", f"Please! {PROMPT}")

    with pytest.raises(EvalError, match="ask what is not recorded"):
        gate()


def test_another_output_type_is_a_miss(accepted: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    del accepted
    monkeypatch.setattr("eval_cases.Triage.model_config", {"frozen": True, "title": "Other"})
    monkeypatch.setattr("ai_base.llm.gateway.output.json_schema", lambda _: {"title": "Other", "type": "object"})
    with pytest.raises(EvalError, match=r"\+schema "):
        gate()


def test_only_what_is_new_is_asked_and_what_is_no_longer_asked_is_dropped(
    accepted: Eval, provider: LoopbackProvider
) -> None:
    lines = cases().splitlines()
    write("evals/triage/cases.jsonl", "\n".join([*lines[1:], lines[0].replace("case-0", "new").replace("0:", "new:")]))

    accepted("eval", "--record")

    assert provider.count == NUMBER + 1
    recorded = (FOLDER / "replies.jsonl").read_text()
    assert recorded.count("\n") == NUMBER
    assert "Ticket 0:" not in recorded
    with pytest.raises(
        EvalError, match=r"not about the cases and scores that there are now. To accept: make eval ACCEPT=1"
    ):
        gate()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "cases.jsonl:2: the line: Invalid JSON"),
        ('{"name": "x"}', "cases.jsonl:2: inputs: Field required"),
        ('{"name": "x", "inputs": {}, "expect": 1}', "cases.jsonl:2: expect: Extra inputs are not permitted"),
        ('{"name": "case-0", "inputs": {}}', "cases.jsonl:2: another case is called 'case-0'"),
        ('{"name": "\\udc00", "inputs": {}}', "cases.jsonl:2: "),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_a_remedy(run: Eval, line: str, said: str) -> None:
    write("evals/triage/cases.jsonl", f"{cases().splitlines()[0]}\n{line}\n")

    result = run("eval", expect=1)

    assert said in result.stderr
    assert "Give each" in result.stderr or "Write it as in: " in result.stderr


def test_no_cases_is_an_error(run: Eval) -> None:
    write("evals/triage/cases.jsonl", "\n")
    assert "there are no cases. Write one a line" in run("eval", expect=1).stderr
    (FOLDER / "cases.jsonl").unlink()
    assert "there are no cases. Write one a line" in run("eval", expect=1).stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"category": "other"}, "category fell from 1.00 to 0.00: 20 cases are worse"),
        ({"summary": "A summary that goes on and on, as no summary should."}, "brief fell from 1.00 to 0.00"),
        ({"urgency": None, "priority": 3}, "valid fell from 1.00 to 0.00"),
    ],
    ids=["a worse prompt", "verbose", "another schema"],
)
def test_a_planted_regression_is_red(
    accepted: Eval, provider: LoopbackProvider, changes: dict[str, Any], said: str
) -> None:
    write("config/prompts/triage.md", f"Quickly! {PROMPT}")
    provider.behaviour = partial(answer, **changes)

    result = accepted("eval", "--record", expect=1)

    assert said in " ".join(gate())
    assert f"WORSE: {said}" in result.stderr


def test_another_wording_that_keeps_the_scores_is_green_once_it_is_recorded(accepted: Eval) -> None:
    write("config/prompts/triage.md", f"Please! {PROMPT}")

    accepted("eval", "--record")

    assert gate() == []


def test_a_lower_score_of_the_same_reply_is_red_even_for_one_case(accepted: Eval) -> None:
    text = (FOLDER / "cases.jsonl").read_text()
    (FOLDER / "cases.jsonl").write_text(text.replace('"category": "billing"', '"category": "bug"', 1))

    accepted("eval", expect=1)

    assert gate() == [
        "category fell from 1.00 to 0.95: 1 cases are worse, 0 better (p = 0.500); such as case-0",
    ]


def test_a_judge_is_shown_and_never_gates(accepted: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRIAGE.judges, "tone", lambda _: 0.0)
    accepted("eval", "--accept")
    text = (FOLDER / "baseline.json").read_text()
    (FOLDER / "baseline.json").write_text(text.replace('"tone": 0.0', '"tone": 1.0'))

    result = accepted("eval")

    assert "worse (not gating)" in result.stdout
    assert gate() == []
