"""A tool that needs approval stops the run; a person's answer resumes it, here or elsewhere, and the tool runs once."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agent_cases import add, call, calls
from pydantic_ai.messages import ToolReturnPart

from ai_base.agent import Limits, Run, SimpleReActAgent
from ai_base.testing.doubles import ScriptedModel


class Shop:
    """Has a tool that must not run unasked, or twice."""

    def __init__(self) -> None:
        self.refunded: list[int] = []

    def refund(self, amount: int) -> str:
        """Pay money back."""
        self.refunded.append(amount)
        return f"refunded {amount}"

    def agent(self, gateway: Any, **options: Any) -> SimpleReActAgent:
        return SimpleReActAgent(gateway, [add], needs_approval=[self.refund], **options)


def last_returns(run: Run) -> list[tuple[object, str]]:
    parts = [part for message in run.messages for part in message.parts if isinstance(part, ToolReturnPart)]
    return [(part.content, part.outcome) for part in parts]


async def test_a_call_that_needs_approval_stops_the_run_and_the_answer_resumes_it(open_gateway: Any) -> None:
    shop = Shop()
    parallel = calls(("add", {"a": 1, "b": 2}), ("refund", {"amount": 5}))
    async with open_gateway(main=ScriptedModel(parallel, "done")) as gateway:
        agent = shop.agent(gateway)
        run = await agent.run("Refund!")
        [escalation] = await gateway.ledger.escalations()

        assert (run.ended, run.waiting, shop.refunded, run.tool_calls) == ("approval", [escalation.id], [], 1)
        assert escalation.request == 'refund({"amount":5})'
        assert (escalation.prompt, escalation.interaction_id) == ("agent", run.interaction_ids[0])

        await gateway.ledger.answer(escalation.id, "Yes", "ada")
        run = await agent.run(run)

    assert (run.ended, run.answer, run.waiting, shop.refunded) == ("answer", "done", [], [5])
    assert last_returns(run) == [("3", "success"), ("refunded 5", "success")]


async def test_while_nobody_answers_the_run_waits_and_asks_once(open_gateway: Any) -> None:
    shop, script = Shop(), ScriptedModel(call("refund", amount=5))
    async with open_gateway(main=script) as gateway:
        run = await shop.agent(gateway).run("Refund!")
        run = await shop.agent(gateway).run(run)
        waiting = await gateway.ledger.escalations()

    assert (run.ended, run.waiting, shop.refunded) == ("approval", [waiting[0].id], [])
    assert len(waiting) == len(script.requests) == 1


@pytest.mark.parametrize("answer", ["no", "not so much", "yes, but only 3"])
async def test_any_answer_but_yes_refuses_the_call_and_informs_the_model(open_gateway: Any, answer: str) -> None:
    shop = Shop()
    async with open_gateway(main=ScriptedModel(call("refund", amount=5), "sorry")) as gateway:
        run = await shop.agent(gateway).run("Refund!")
        await gateway.ledger.answer(run.waiting[0], answer, "ada")
        run = await shop.agent(gateway).run(run)

    assert (run.ended, shop.refunded, run.tool_calls) == ("answer", [], 0)
    assert last_returns(run) == [(f"a person refused this call: {answer}", "denied")]


async def test_invalid_arguments_and_reached_limits_ask_for_no_approval(open_gateway: Any) -> None:
    shop, script = Shop(), ScriptedModel(call("refund", amount="all"), call("refund", amount=5))
    async with open_gateway(main=script) as gateway:
        run = await shop.agent(gateway, limits=Limits(max_tool_calls=0)).run("Refund!")
        escalations = await gateway.ledger.escalations(open_only=False)

    assert (run.ended, len(script.requests), escalations) == ("max_tool_calls", 2, [])


async def test_an_approval_is_for_its_arguments_only(open_gateway: Any) -> None:
    shop = Shop()
    async with open_gateway(main=ScriptedModel(call("refund", amount=5))) as gateway:
        run = await shop.agent(gateway).run("Refund!")
        await gateway.ledger.answer(run.waiting[0], "yes", "ada")
        changed = Run.model_validate_json(run.model_dump_json().replace('"amount":5', '"amount":5000'))
        assert changed.messages != run.messages
        changed = await shop.agent(gateway).run(changed)

    assert (changed.ended, shop.refunded) == ("approval", [])


async def test_two_resumptions_at_once_run_the_tool_once(open_gateway: Any) -> None:
    shop = Shop()
    async with open_gateway(main=ScriptedModel(call("refund", amount=5), "one", "other")) as gateway:
        run = await shop.agent(gateway).run("Refund!")
        await gateway.ledger.answer(run.waiting[0], "yes", "ada")
        copies = [Run.model_validate_json(run.model_dump_json()) for _ in range(2)]
        runs = await asyncio.gather(*(shop.agent(gateway).run(each) for each in copies))

    assert shop.refunded == [5]
    assert sorted(str(last_returns(each)[-1]) for each in runs) == [
        "('it was started before, and its result was lost', 'failed')",
        "('refunded 5', 'success')",
    ]


RESUME = """
import asyncio, json, sys
from pathlib import Path
from agent_cases import add
from ai_base.agent import Run, SimpleReActAgent
from ai_base.llm import Gateway
from ai_base.testing.doubles import ScriptedModel

folder, config, database = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]

def refund(amount: int) -> str:
    "Pay money back."
    with (folder / "refunds").open("a") as file:
        file.write(f"{amount}\\n")
    return f"refunded {amount}"

async def main():
    models = {name: ScriptedModel("done") for name in config["candidates"]}
    async with Gateway.open(config=config, prompts=folder, database_url=database, models=models) as gateway:
        run = Run.model_validate_json((folder / "run.json").read_text())
        run = await SimpleReActAgent(gateway, [add], needs_approval=[refund]).run(run)
        print(json.dumps([run.ended, run.answer, run.requests]))

asyncio.run(main())
"""


async def test_the_answer_resumes_the_run_in_another_process_and_the_tool_runs_once(
    open_gateway: Any, database: str, tmp_path: Path
) -> None:
    candidate = {"model": "openai-chat:priced", "price": {"input": "1", "output": "2"}}
    config = {"candidates": {"main": candidate}, "chains": {"default": ["main"]}, "budgets": {"unlimited": True}}
    async with open_gateway(config=config, main=ScriptedModel(call("refund", amount=5))) as gateway:
        run = await Shop().agent(gateway).run("Refund!")
        await gateway.ledger.answer(run.waiting[0], "yes", "ada")
    (tmp_path / "run.json").write_text(run.model_dump_json(), encoding="utf-8")

    cases = str(Path(__file__).parents[1] / "example")
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {cases!r})\n{RESUME}", str(tmp_path)]
    command += [json.dumps(config), database]
    outputs = []
    for _ in range(2):
        process = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=True, timeout=300
        )
        outputs.append(json.loads(process.stdout.splitlines()[-1]))

    assert outputs == [["answer", "done", 2]] * 2
    assert (tmp_path / "refunds").read_text() == "5\n"
