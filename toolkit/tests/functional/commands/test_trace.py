"""The command line shows an agent's run as a tree, and approves its tool calls."""

import asyncio
from typing import Any

from agent_cases import call
from command_cases import ESCAPES, LEDGER, Run

from ai_base.agent import Run as AgentRun
from ai_base.agent import SimpleReActAgent
from ai_base.llm import Gateway
from ai_base.llm.ledger.records import Interaction, Step, now
from ai_base.testing.doubles import ScriptedModel


def refund(amount: int) -> str:
    """Pay money back."""
    return f"refunded {amount}"


def agent_run(question: str | AgentRun, *script: Any) -> AgentRun:
    async def ask() -> AgentRun:
        async with Gateway.open(models={"main": ScriptedModel(*script)}) as gateway:
            return await SimpleReActAgent(gateway, needs_approval=[refund]).run(question)

    return asyncio.run(ask())


def test_a_call_is_listed_and_approved_on_the_command_line_and_the_run_goes_on(run: Run) -> None:
    waiting = agent_run("Refund!", call("refund", amount=5))
    listed = run("escalations", "list").stdout
    identity = listed.split()[0]

    assert 'refund({"amount":5})' in listed
    assert "Answer yes to run it" in " ".join(listed.split())
    assert run("escalations", "answer", identity, "yes").exit_code == 0
    assert agent_run(waiting, "Paid back.").answer == "Paid back."


def test_a_run_is_shown_as_a_tree_by_any_of_its_interactions(run: Run) -> None:
    waiting = agent_run("Refund!", call("refund", "They are right.", amount=5))
    [escalation] = waiting.waiting
    run("escalations", "answer", escalation, "yes")
    done = agent_run(waiting, "Paid back.")
    shown = [run("interactions", each, "--trace").stdout for each in done.interaction_ids]

    assert shown[0] == shown[1]
    lines = shown[0].splitlines()
    assert lines[0] == "question: Refund!"
    assert lines[1].startswith("1. [")
    assert lines[1].endswith("] They are right.")
    assert lines[2:4] == ['   ├─ refund({"amount":5})', f"   │     waiting: escalation {escalation}"]
    assert lines[4] == '   └─ refund({"amount":5})'
    assert lines[5].endswith("refunded 5")
    assert lines[6].endswith("] Paid back.")


def test_no_text_of_a_step_changes_the_terminal_or_forges_a_line(run: Run, look: Any) -> None:
    text = f"word {ESCAPES}\nquestion: forged {'long ' * 40}"
    step = Step("b" * 32, "run", "a" * 32, now(), 1, 1, text, text, text, text, text)

    async def store(ledger: Any) -> None:
        await ledger.record(Interaction("a" * 32, now()))
        await ledger.add_steps([step])

    look(LEDGER, store)
    lines = run("interactions", "aa", "--trace").stdout.splitlines()

    assert len(lines) == 3
    assert all(line.isprintable() and len(line) <= 80 and not line.startswith("question") for line in lines)


def test_an_interaction_without_steps_and_a_trace_of_nothing_are_errors(run: Run, look: Any) -> None:
    look(LEDGER, lambda ledger: ledger.record(Interaction("a" * 32, now())))

    assert "no steps" in run("interactions", "aa", "--trace").stderr
    assert run("interactions", "aa", "--trace").exit_code == 1
    assert "interactions ID --trace" in run("interactions", "--trace").stderr
