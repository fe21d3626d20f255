"""Runs of an agent: the loop, its steps, and how a run goes on elsewhere."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from agent_cases import add, call, calls, search
from gateway_cases import answered
from pydantic_ai.messages import ThinkingPart, ToolReturnPart

from ai_base.agent import Run, SimpleReActAgent, Step
from ai_base.llm.errors import AllCandidatesFailedError
from ai_base.testing.doubles import MockLLMWithChain, ScriptedModel

HALF_PAIR = "\ud800"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e"


def shown(steps: list[Step]) -> list[tuple[int, str, str, str]]:
    return [(step.request, step.tool, step.outcome, step.observation) for step in steps]


async def test_an_agent_answers_with_what_its_tools_returned(open_gateway: Any) -> None:
    script = MockLLMWithChain(
        call("search", "I have to look it up.", query="tea"), call("add", a=1, b=2), "Three cups of tea."
    )
    with script:
        async with open_gateway(main=script) as gateway:
            run = await SimpleReActAgent(gateway, [search, add], instructions="Be brief.").run("How much tea?")

    assert (run.ended, run.answer, run.requests, run.tool_calls) == ("answer", "Three cups of tea.", 3, 2)
    assert shown(run.steps) == [
        (0, "", "question", "How much tea?"),
        (1, "search", "ok", '["about tea"]'),
        (2, "add", "ok", "3"),
        (3, "", "answer", "Three cups of tea."),
    ]
    assert "Be brief." in script.prompts[0]
    assert '["about tea"]' in script.prompts[1]


async def test_a_step_holds_thought_arguments_tokens_and_cost(open_gateway: Any) -> None:
    response = call("search", "I look.", query="tea")
    response.usage = answered("").usage or response.usage
    async with open_gateway(main=ScriptedModel(response, answered("done", 10, 20))) as gateway:
        run = await SimpleReActAgent(gateway, [search]).run("?")
        [row] = await gateway.ledger.interactions(10)

    _, looked, done = run.steps
    assert (looked.thought, looked.arguments) == ("I look.", '{"query":"tea"}')
    assert (looked.input_tokens, looked.output_tokens, looked.cost) == (100, 100, 300_000)
    assert (done.input_tokens, done.output_tokens, done.cost) == (10, 20, 50_000)
    assert looked.model_ms > 0
    assert looked.tool_ms > 0
    assert run.cost == row.cost == 350_000


async def test_parallel_calls_run_at_the_same_time_and_are_told_in_order(open_gateway: Any) -> None:
    second_done = asyncio.Event()

    async def first() -> str:
        """Wait for the second."""
        await second_done.wait()
        return "1"

    async def second() -> str:
        """Come first."""
        second_done.set()
        return "2"

    script = ScriptedModel(calls(("first", {}), ("second", {})), "done")
    async with open_gateway(main=script) as gateway:
        run = await SimpleReActAgent(gateway, [first, second]).run("?")

    for messages in (run.messages, script.requests[1].messages):
        returned = [part.content for part in messages[2].parts if isinstance(part, ToolReturnPart)]
        assert returned == ["1", "2"]
    assert [step.tool for step in run.steps if step.tool] == ["second", "first"]  # as they ended


async def test_steps_are_streamed_as_they_happen(open_gateway: Any) -> None:
    go_on = asyncio.Event()

    async def wait() -> str:
        """Wait."""
        await go_on.wait()
        return "waited"

    seen: list[str] = []
    async with open_gateway(main=ScriptedModel(call("search", query="x"), call("wait"), "done")) as gateway:
        run = Run(question="?")
        async for step in SimpleReActAgent(gateway, [search, wait]).stream(run):
            seen.append(step.outcome)
            if step.tool == "search":
                assert run.ended == ""
                go_on.set()  # the run cannot have gone further

    assert seen == ["question", "ok", "ok", "answer"]
    assert run.answer == "done"


async def test_what_the_reader_of_a_stream_asks_is_no_part_of_the_run(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(call("search", query="x"), "done"), backup=ScriptedModel()) as gateway:
        async for step in SimpleReActAgent(gateway, [search]).stream("?"):
            if step.tool:
                async with gateway.interaction("other") as other:
                    assert other.outer is None


async def test_a_stream_that_is_left_stops_the_run(open_gateway: Any) -> None:
    stopped = asyncio.Event()

    async def wait() -> None:
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with open_gateway(main=ScriptedModel(calls(("search", {"query": "x"}), ("wait", {})))) as gateway:
        run = Run(question="?")
        stream = SimpleReActAgent(gateway, [search, wait]).stream(run)
        async for step in stream:
            if step.tool:
                break
        await stream.aclose()
        await asyncio.wait_for(stopped.wait(), 60)
        [row] = await gateway.ledger.interactions(10)

        assert (run.ended, row.status) == ("", "failed")
        assert [step.tool for step in await gateway.ledger.steps(row.id)] == ["", "search"]


async def test_a_run_resumes_from_its_json_and_repeats_nothing(open_gateway: Any) -> None:
    made: list[str] = []

    async def note(text: str) -> str:
        """Note a text."""
        made.append(text)
        if text == "second":
            await asyncio.Event().wait()
        return "noted"

    def note_again(text: str) -> str:
        """Note a text."""
        made.append(f"{text} again")
        return "noted"

    note_again.__name__ = "note"
    parallel = calls(("note", {"text": "first"}), ("note", {"text": "second"}))
    async with open_gateway(main=ScriptedModel(parallel)) as gateway:
        run = Run(question="?")
        async for step in SimpleReActAgent(gateway, [note]).stream(run):
            if step.tool:
                break
    saved = run.model_dump_json()

    script = ScriptedModel("done")
    async with open_gateway(main=script) as gateway:
        resumed = await SimpleReActAgent(gateway, [note_again]).run(Run.model_validate_json(saved))

    assert made == ["first", "second", "second again"]
    assert (resumed.ended, resumed.answer, resumed.requests, resumed.tool_calls) == ("answer", "done", 2, 3)
    assert len(resumed.interaction_ids) == 2
    assert resumed.cost > run.cost > 0


async def test_a_run_that_has_its_answer_asks_nothing_more(open_gateway: Any) -> None:
    script = ScriptedModel("done")
    async with open_gateway(main=script) as gateway:
        agent = SimpleReActAgent(gateway)
        await agent.run(await agent.run("?"))

    assert len(script.requests) == 1


@pytest.mark.parametrize("arguments", [{"query": HALF_PAIR, HALF_PAIR: [HALF_PAIR]}, f'{{"query": "{HALF_PAIR}"}}'])
async def test_a_call_with_half_of_a_surrogate_pair_is_kept_sent_and_saved(open_gateway: Any, arguments: Any) -> None:
    made = calls(("search", arguments), (f"se{HALF_PAIR}arch", arguments))
    made.parts = [
        ThinkingPart(f"{HALF_PAIR} é", id=HALF_PAIR),
        *(replace(part, tool_call_id=HALF_PAIR) for part in made.tool_calls),
    ]
    made.usage = answered("").usage or made.usage
    async with open_gateway(main=ScriptedModel(made, "done")) as gateway:
        run = await SimpleReActAgent(gateway, [search]).run("?")
        steps = await gateway.ledger.steps(run.interaction_ids[0])

    assert run.answer == "done"
    assert Run.model_validate_json(run.model_dump_json()) == run
    assert [step.tool for step in steps] == ["", "search", "se\ufffdarch", ""]


async def test_arguments_nested_too_deeply_to_be_saved_are_refused(open_gateway: Any) -> None:
    nested: Any = "tea"
    for _ in range(300):
        nested = {"query": nested}
    made = calls(("search", nested))
    made.usage = answered("").usage or made.usage
    async with open_gateway(main=ScriptedModel(made, "done")) as gateway:
        run = await SimpleReActAgent(gateway, [search]).run("?")

    assert [step.outcome for step in run.steps] == ["question", "failed", "answer"]
    assert Run.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize("reply", ["", call("search", query="x")], ids=["empty", "cut off"])
async def test_a_response_that_is_empty_or_cut_off_is_no_answer(open_gateway: Any, reply: Any) -> None:
    if reply:
        reply.finish_reason = "length"
    async with open_gateway(main=ScriptedModel(call("search", query="y"), reply, "done")) as gateway:
        agent = SimpleReActAgent(gateway, [search])
        run = await agent.run("?")
        kept = (run.ended, run.answer, run.tool_calls, len(run.messages))
        again = await agent.run(run)

    assert kept == ("failed", "", 1, 3)
    assert again.answer == "done"


async def test_a_run_without_a_model_keeps_its_work(open_gateway: Any) -> None:
    down = RuntimeError("down")
    async with open_gateway(
        main=ScriptedModel(call("search", query="x"), down, down, down), retry={"attempts": 1}
    ) as gateway:
        run = await SimpleReActAgent(gateway, [search]).run("?")

    assert (run.ended, run.tool_calls) == ("failed", 1)
    assert AllCandidatesFailedError.__name__ in run.error


async def test_a_run_is_charged_to_its_cost_centre(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel("done")) as gateway:
        await SimpleReActAgent(gateway, name="helper").run("?", cost_center="support", user="ada")
        [row] = await gateway.ledger.interactions(10)

    assert (row.prompt, row.cost_center, row.user, row.request, row.response) == (
        "helper",
        "support",
        "ada",
        "?",
        "done",
    )


async def test_a_tree_shows_each_step_and_cannot_change_the_terminal(open_gateway: Any) -> None:
    async def hostile(text: str) -> str:
        """Return what hurts a terminal."""
        return f"{ESCAPES}\nanswer: {text}"

    response = calls(("hostile", {"text": ESCAPES}), ("search", {"query": "x"}), thought=f"I {ESCAPES} look")
    async with open_gateway(main=ScriptedModel(response, "done")) as gateway:
        run = await SimpleReActAgent(gateway, [hostile, search]).run("What?")
    lines = run.tree(60).split("\n")

    assert [line.split("]")[0].split("(")[0].strip() for line in lines][:1] == ["question: What?"]
    assert [line for line in lines if "search(" in line] == ['   └─ search({"query":"x"})']
    assert any(line.startswith("   │     ok") and "answer:" in line for line in lines)
    assert lines[-1].endswith("done")
    assert all(len(line) <= 60 and line.isprintable() for line in lines)
