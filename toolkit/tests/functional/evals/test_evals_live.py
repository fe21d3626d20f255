"""Live runs over real HTTP: budgets, outages, Ctrl-C, noise."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import eval_cases
import pytest
from eval_cases import FOLDER, NUMBER, Eval, answer

from ai_base.testing.loopback import LoopbackProvider, Reply

EVAL = """
import signal

from ai_base.cli import create_app
from ai_base.evals.commands import create_commands
from ai_base.settings import AppSettings

app = create_app("ai_base", AppSettings)
app.add_typer(create_commands("eval_cases"))
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
app(["eval", "--live"])
"""


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
    assert "What was answered is kept; the same command goes on" in result.stderr
    assert "budget cost center evals" in result.stderr
    assert 0 < done < NUMBER

    config.write_text(whole)
    result = accepted("eval", "--live")

    assert f"going on from an interrupted run: {done} replies are kept" in result.stderr
    assert provider.count - asked == NUMBER


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_kill_keep_what_was_answered(
    accepted: Eval, provider: LoopbackProvider, stop: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered, at_a_time = provider.count, 5, 10
    fifteenth = Event()

    def answer_five(body: dict[str, Any]) -> Reply:
        """Every answer lets another case begin: at the fifteenth request, five are recorded."""
        if provider.count - asked == answered + at_a_time:
            fifteenth.set()
        return answer(body) if provider.count - asked <= answered else Reply(hang=True)

    provider.behaviour = answer_five
    monkeypatch.setenv("PYTHONPATH", str(Path(eval_cases.__file__).parent), prepend=os.pathsep)
    process = subprocess.Popen([sys.executable, "-c", EVAL], stderr=subprocess.PIPE, text=True)
    assert fifteenth.wait(300)
    process.send_signal(stop)
    _, err = process.communicate(timeout=300)
    assert process.returncode == (130 if stop is signal.SIGINT else -stop)
    assert ("the same command goes on from there" in err) == (stop is signal.SIGINT)

    provider.behaviour = answer
    result = accepted("eval", "--live")

    assert f"going on from an interrupted run: {answered} replies are kept" in result.stderr
    assert provider.count - asked == answered + at_a_time + NUMBER - answered


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
    assert baseline["noise"]["category"] == pytest.approx(0.057735, abs=1e-6)  # four cases with the variance 1/3
    assert baseline["noise"]["brief"] == 0
    assert baseline["cases"]["case-0"]["scores"]["category"] == 1  # scores come from recorded replies
    assert "within noise" in accepted("eval", "--live").stdout


def test_real_models_are_asked_only_where_that_was_said(run: Eval, provider: LoopbackProvider) -> None:
    run("eval", "--model", "other", expect=2)
    run("eval", "--repeat", "2", expect=2)
    run("eval", "--live", "--record", expect=2)
    run("eval", "--from", "HEAD", "--record", expect=2)
    assert "no candidate is called 'gone'" in run("eval", "--live", "--model", "gone", expect=1).stderr
    assert provider.count == 0
