"""The commands `interactions`, `replay` and `escalations`."""

import re
from typing import Any

from command_cases import BILL, LEDGER, Run

from ai_base.llm.ledger.records import Escalation, Interaction, now


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
