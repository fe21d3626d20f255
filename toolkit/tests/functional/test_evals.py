"""Evals on a real gateway and over real HTTP: recorded, live, against a baseline, and when things go wrong."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from eval_cases import CONFIG, DATASETS, NUMBER, PROMPT, answer, cases
from typer.testing import CliRunner, Result

from ai_base.cli import create_app
from ai_base.evals.cases import EvalError
from ai_base.evals.commands import create_commands
from ai_base.evals.gate import problems
from ai_base.llm.ledger.ledger import Ledger
from ai_base.settings import AppSettings
from ai_base.testing.loopback import LoopbackProvider, Reply

type Eval = Callable[..., Result]
[TRIAGE] = DATASETS
FOLDER = Path("evals/triage")


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Iterator[LoopbackProvider]:
    """A project whose candidates are at a provider on this machine, which answers well."""
    del own_logging
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


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def row(*cells: object) -> list[str]:
    return [str(cell) for cell in cells]


def rows(result: Result) -> list[list[str]]:
    """Read the table: a line's words."""
    return [line.split() for line in result.stdout.splitlines()]


def gate() -> list[str]:
    return asyncio.run(problems(TRIAGE))


# ---- Recorded ----


def test_recorded_replies_need_no_provider_and_no_key(
    accepted: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = provider.count
    monkeypatch.delenv("PROVIDER_KEY")

    result = accepted("eval")

    assert provider.count == asked == NUMBER
    assert row("category", "1.00", "1.00", 0, 0, "1.000", "same") in rows(result)
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
    with pytest.raises(EvalError, match=r"not about the cases that there are now. To accept: make eval ACCEPT=1"):
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
    assert "it is empty. Write one case a line" in run("eval", expect=1).stderr
    (FOLDER / "cases.jsonl").unlink()
    assert "no such file. Write one case a line" in run("eval", expect=1).stderr


# ---- The gate ----


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
    monkeypatch.setitem(TRIAGE.judges, "tone", lambda _: 0.0)  # type: ignore[arg-type]
    accepted("eval", "--accept")
    text = (FOLDER / "baseline.json").read_text()
    (FOLDER / "baseline.json").write_text(text.replace('"tone": 0.0', '"tone": 1.0'))

    result = accepted("eval")

    assert "worse (not gating)" in result.stdout
    assert gate() == []


# ---- Live ----


def test_a_live_run_asks_one_candidate_and_charges_evals(accepted: Eval, provider: LoopbackProvider, look: Any) -> None:
    asked = provider.count
    recorded = (FOLDER / "replies.jsonl").read_text()

    result = accepted("eval", "--live", "--model", "other")

    models = [request.body["model"] for request in provider.requests]
    assert models == ["small"] * asked + ["other"] * NUMBER
    assert "20 cases at openai-chat:other, about $0.00" in result.stderr
    assert "now:    other; prompt triage " in result.stdout
    assert (FOLDER / "replies.jsonl").read_text() == recorded
    assert [path.name for path in FOLDER.glob(".*")] == []
    spent = look(f"sqlite:///{Path.cwd()}/ledger.db", lambda ledger: ledger.spend("cost_center"))
    assert [(row.name, row.calls) for row in spent] == [("evals", 2 * NUMBER)]


def test_without_a_budget_of_its_own_nothing_is_asked(run: Eval, provider: LoopbackProvider) -> None:
    config = Path("config/llm.toml")
    config.write_text(config.read_text().replace("[budgets.cost_centers.evals]", "[budgets.cost_centers.support]"))

    assert "give evals a budget: [budgets.cost_centers.evals]" in run("eval", "--live", expect=1).stderr
    assert provider.count == 0


def test_the_budget_stops_a_run_and_what_is_done_is_kept(accepted: Eval, provider: LoopbackProvider) -> None:
    config, asked = Path("config/llm.toml"), provider.count
    whole = config.read_text()
    config.write_text(whole.replace('day = "5"', 'day = "0.01"'))
    result = accepted("eval", "--live", expect=1)
    done = provider.count - asked
    assert "got no answer; the others are kept, and the same command goes on" in result.stderr
    assert "budget cost center evals" in result.stderr
    assert 0 < done < NUMBER

    config.write_text(whole)
    result = accepted("eval", "--live")

    assert f"going on from an interrupted run: {done} replies are kept" in result.stderr
    assert provider.count - asked == NUMBER


def test_a_provider_that_refuses_for_a_while_is_asked_again_and_counts_as_no_result(
    accepted: Eval, provider: LoopbackProvider
) -> None:
    busy = Reply(status=429, headers={"retry-after": "0"})
    provider.behaviour = lambda body: busy if provider.count % 2 else answer(body)
    accepted("eval", "--live", expect=None)
    provider.behaviour = answer
    accepted("eval", "--live", expect=None)
    provider.behaviour = busy

    result = accepted("eval", "--live", "--model", "other", expect=1)

    assert "other: 20 of 20" not in result.stdout
    assert "20 of 20 cases got no answer" in result.stderr


def test_repeated_runs_measure_the_noise_and_a_difference_within_it_is_called_that(
    accepted: Eval, provider: LoopbackProvider
) -> None:
    seen: dict[str, int] = {}

    def moody(body: dict[str, Any]) -> Reply:
        ticket = str(body["messages"])
        seen[ticket] = seen.get(ticket, 0) + 1
        number = int(ticket.partition("Ticket ")[2].partition(":")[0])
        return answer(body, **({"category": "other"} if (seen[ticket] + number) % 2 and number < 4 else {}))

    provider.behaviour = moody
    result = accepted("eval", "--live", "--repeat", "3", "--accept")

    assert "noise of category: two runs differ by up to " in result.stdout
    baseline = json.loads((FOLDER / "baseline.json").read_text())
    assert baseline["noise"]["category"] > 0.1
    assert baseline["noise"]["brief"] == 0
    assert baseline["cases"]["case-0"]["scores"]["category"] == 1  # scores come from recorded replies
    assert "within noise" in accepted("eval", "--live").stdout


def test_real_models_are_asked_only_where_that_was_said(run: Eval, provider: LoopbackProvider) -> None:
    run("eval", "--model", "other", expect=2)
    run("eval", "--repeat", "2", expect=2)
    run("eval", "--live", "--record", expect=2)
    assert provider.count == 0


# ---- Another revision, drift ----


def test_the_prompts_of_a_revision_are_compared_with_todays(accepted: Eval, provider: LoopbackProvider) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "config", "evals"], ["commit", "--quiet", "--message", "then"]):
        subprocess.run([*git, *words], check=True)
    write("config/prompts/triage.md", f"Quickly! {PROMPT}")
    provider.behaviour = lambda body: answer(body, **({"category": "other"} if "Quickly" in str(body) else {}))
    accepted("eval", "--record", expect=1)
    asked = provider.count

    recorded = accepted("eval", "--from", "HEAD", expect=1)
    live = accepted("eval", "--from", "HEAD", "--live", expect=1)
    unknown = accepted("eval", "--from", "nowhere", expect=1)

    then_and_now = row("category", "1.00", "0.00", 20, 0, "0.000", "worse")
    assert then_and_now in rows(recorded)
    assert then_and_now in rows(live)
    assert provider.count - asked == 2 * NUMBER
    assert "FROM=nowhere: " in unknown.stderr


def test_drift_tells_what_moved(accepted: Eval, provider: LoopbackProvider) -> None:
    assert accepted("drift", "--limit", "10").stdout == "triage: nothing moved in 10 cases\n"

    def moved(body: dict[str, Any]) -> Reply:
        long = " ".join(["It", *["really"] * 30, "crashes."])
        return answer(body, summary=long, category="other")

    provider.behaviour = moved
    result = accepted("drift", "--limit", "10", expect=1)

    assert "triage: replies got longer: " in result.stdout
    assert "triage: category fell from 1.00 to 0.00: 10 cases are worse" in result.stdout


def test_drift_tells_another_model_and_another_schema(accepted: Eval, provider: LoopbackProvider) -> None:
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}]}
    reply |= {"id": "x", "object": "chat.completion", "created": 1, "model": "small-2026-11-25"}
    reply |= {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}
    provider.behaviour = Reply(raw=json.dumps(reply))

    result = accepted("drift", expect=1)

    assert "triage: the model is small-2026-11-25, and was small" in result.stdout
    assert "triage: valid fell from 1.00 to 0.00: 20 cases are worse" in result.stdout


def test_the_ledger_is_not_touched_by_recorded_runs(accepted: Eval, look: Any) -> None:
    async def calls(ledger: Ledger) -> int:
        return len(await ledger.interactions(1000))

    before = look(f"sqlite:///{Path.cwd()}/ledger.db", calls)
    accepted("eval")

    assert look(f"sqlite:///{Path.cwd()}/ledger.db", calls) == before


# ---- The page ----

SCRIPT = "<script>alert('owned')</script>"


def test_the_page_shows_both_answers_and_escapes_what_models_say(accepted: Eval, provider: LoopbackProvider) -> None:
    config = Path("config/llm.toml")
    config.write_text(f'{config.read_text()}[output]\nhtml = "keep"\n')
    write("evals/triage/cases.jsonl", cases().replace("case-3", f"case {SCRIPT}"))
    accepted("eval", "--record", "--accept")
    write("config/prompts/triage.md", f"Slowly! {PROMPT}")
    provider.behaviour = lambda body: answer(body, category="other", summary=SCRIPT)

    accepted("eval", "--record", "--html", "eval.html", expect=1)

    page = Path("eval.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Worse: 20 cases" in page
    assert "<mark>billing</mark>" in page
    assert "<mark>other</mark>" in page
    assert "category 1.00 → 0.00" in page
    assert "prefers-color-scheme: dark" in page
    assert re.findall(r"(?:src|href)=|@import|url\(", page) == []
