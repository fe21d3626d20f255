"""The ledger keeps the steps of a run, scrubbed: for `interactions ID --trace`, until they are pruned or erased."""

from typing import Any

import pytest
from agent_cases import KEY, call, search
from structlog.testing import capture_logs

from ai_base.agent import SimpleReActAgent
from ai_base.llm.errors import LedgerError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.testing.doubles import ScriptedModel

MAIL = "ada@example.com"


async def test_the_ledger_keeps_the_steps_without_secrets_and_personal_data(open_gateway: Any) -> None:
    def leak(text: str) -> str:
        """Return what it must not."""
        return f"{text} {KEY}"

    script = ScriptedModel(call("leak", f"I write to {MAIL}", text=MAIL), f"Done, {MAIL}")
    async with open_gateway(main=script) as gateway:
        run = await SimpleReActAgent(gateway, [leak], instructions=f"You are {MAIL}").run(f"Who is {MAIL}?")
        steps = await gateway.ledger.steps(run.interaction_ids[0])
        async with gateway.ledger.database.transaction(read_only=True) as execute:
            stored = str(await execute("SELECT * FROM steps"))

    assert steps == run.steps
    assert [(step.request, step.tool, step.outcome) for step in steps] == [
        (0, "", "question"),
        (1, "leak", "ok"),
        (2, "", "answer"),
    ]
    assert stored.count("[email]") == 6
    assert (KEY in stored, MAIL in stored, MAIL in script.prompts[1]) == (False, False, True)


async def test_every_interaction_of_a_run_leads_to_all_its_steps(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(call("search", query="x"), "", "done")) as gateway:
        agent = SimpleReActAgent(gateway, [search])
        run = await agent.run(await agent.run("?"))
        traces = [await gateway.ledger.steps(each) for each in run.interaction_ids]

    assert len(traces) == 2
    assert traces[0] == traces[1] == run.steps


async def test_steps_of_a_run_that_goes_on_are_kept_already(open_gateway: Any) -> None:
    async def look(query: str) -> int:
        """Count the steps that are kept."""
        found = await gateway.ledger.database.execute("SELECT count(*) FROM steps")
        counted.append(found[0][0])
        return len(query)

    counted: list[int] = []
    async with open_gateway(main=ScriptedModel(call("look", query="a"), call("look", query="b"), "done")) as gateway:
        await SimpleReActAgent(gateway, [look]).run("?")

    assert counted == [0, 2]


async def test_steps_that_cannot_be_kept_are_logged_and_the_run_goes_on(
    open_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "add_steps", fail)
    async with open_gateway(main=ScriptedModel(call("search", query="x"), "done")) as gateway:
        with capture_logs() as logs:
            run = await SimpleReActAgent(gateway, [search]).run("?")

    assert run.answer == "done"
    assert "llm steps not recorded" in [entry["event"] for entry in logs]


@pytest.mark.parametrize("how", ["pruned", "erased"])
async def test_steps_are_pruned_and_erased_with_their_interaction(open_gateway: Any, how: str) -> None:
    async with open_gateway(main=ScriptedModel("one", "two")) as gateway:
        run = await SimpleReActAgent(gateway).run("?", user="ada")
        other = await SimpleReActAgent(gateway).run("?", user="eve")
        if how == "pruned":
            await gateway.ledger.prune(other.steps[0].started_at)
        else:
            await gateway.ledger.erase_user("ada")

        assert await gateway.ledger.steps(run.interaction_ids[0]) == []
        assert await gateway.ledger.steps(other.interaction_ids[0]) == other.steps
