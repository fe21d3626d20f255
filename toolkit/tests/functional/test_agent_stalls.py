"""A ledger that stalls holds no run of an agent beyond its time, and the run loses nothing that was paid for."""

from typing import Any

import pytest
from agent_cases import add, call, calls
from stall_cases import FOREVER, Lock, Stall, set_deadline_soon

from ai_base.agent import Run, SimpleReActAgent, Step
from ai_base.llm.cancellation import finish_background_work
from ai_base.llm.ledger.audit import differences
from ai_base.llm.ledger.ledger import Ledger
from ai_base.testing.doubles import ScriptedModel

pytestmark = pytest.mark.slow


def begin(stall: Stall) -> None:
    stall.begin()
    set_deadline_soon()


async def test_steps_that_stall_are_stored_afterwards(opened: Any, stall: Stall) -> None:
    async def work(text: str) -> str:
        """Work while the ledger begins to stall."""
        begin(stall)
        return text.upper()

    script = ScriptedModel(call("work", text="x"), "done")
    async with opened(main=script) as gateway:
        agent = SimpleReActAgent(gateway, [work])
        run = await agent.run("?")
        assert stall.is_on
        assert (run.ended, run.requests, run.tool_calls) == ("seconds", 1, 1)
        stall.end()
        await finish_background_work(FOREVER)
        assert await gateway.ledger.steps(run.interaction_ids[0]) == run.steps
        run = await agent.run(Run.model_validate_json(run.model_dump_json()))
        assert await differences(gateway.ledger) == []

    assert (run.ended, run.answer, run.requests, run.tool_calls) == ("answer", "done", 2, 1)


@pytest.mark.parametrize("reply", ["\u202edone", call("add", a=1, b=2)], ids=["answer", "tool call"])
async def test_a_response_whose_settlement_stalls_is_kept(opened: Any, stall: Stall, reply: Any) -> None:
    def respond(_: object) -> Any:
        begin(stall)
        return reply

    script = ScriptedModel(respond, *([] if isinstance(reply, str) else ["done"]))
    async with opened(main=script) as gateway:
        agent = SimpleReActAgent(gateway, [add])
        run = await agent.run("?")
        assert stall.is_on
        assert (run.ended, run.requests, run.cost > 0) == ("seconds", 1, True)
        stall.end()
        await finish_background_work(FOREVER)
        paid = run.cost
        run = await agent.run(run)
        assert await differences(gateway.ledger) == []

    assert (run.ended, run.answer) == ("answer", "done")
    assert (len(script.requests), run.steps[1].cost) == (run.requests, paid)


async def test_an_approval_that_cannot_be_asked_for_in_time_is_asked_for_afterwards(opened: Any, stall: Stall) -> None:
    def stall_at(step: Step) -> None:
        if step.tool == "unknown":
            begin(stall)

    script = ScriptedModel(calls(("unknown", {}), ("add", {"a": 1, "b": 2})), "done")
    async with opened(main=script) as gateway:
        agent = SimpleReActAgent(gateway, needs_approval=[add])
        run = await agent.run("?", on_step=stall_at)
        assert stall.is_on
        assert (run.ended, run.tool_calls) == ("seconds", 0)
        stall.end()
        await finish_background_work(FOREVER)
        queued = await gateway.ledger.escalations()
        assert len(queued) == isinstance(stall, Lock)  # the server does not even look for an answer
        run = await agent.run(run)
        [escalation] = await gateway.ledger.escalations()
        assert (run.ended, run.waiting) == ("approval", [escalation.id])
        await gateway.ledger.answer(escalation.id, "yes", "ada")
        run = await agent.run(run)

    assert (run.ended, run.tool_calls) == ("answer", 1)


@pytest.mark.parametrize("stall", ["lock"], indirect=True)  # in SQLite, the first use ends before the second begins
async def test_a_call_whose_approval_cannot_be_used_in_time_is_not_executed(opened: Any, stall: Stall) -> None:
    """The ledger stalls between the uses of two approvals. The first call is executed, and its result is kept."""
    paid: list[int] = []
    use_approval = Ledger.use_approval

    async def pay(amount: int) -> str:
        """Pay money."""
        paid.append(amount)
        return f"paid {amount}"

    async def stall_after_first_use(ledger: Ledger, escalation_id: str) -> bool:
        used = await use_approval(ledger, escalation_id)
        begin(stall)
        return used

    async with opened(main=ScriptedModel(calls(("pay", {"amount": 1}), ("pay", {"amount": 2})), "done")) as gateway:
        agent = SimpleReActAgent(gateway, needs_approval=[pay])
        run = await agent.run("?")
        for waiting in run.waiting:
            await gateway.ledger.answer(waiting, "yes", "ada")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "use_approval", stall_after_first_use)
            ended = await agent.run(run.model_copy(deep=True))
        assert stall.is_on
        assert (ended.ended, paid, [part.content for part in ended.returns.values()]) == ("seconds", [1], ["paid 1"])
        stall.end()
        await finish_background_work(FOREVER)
        again = await agent.run(ended)

    assert (again.ended, paid) == ("answer", [1, 2])
