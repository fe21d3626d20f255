"""`ask_many`: bounded, in order, and an interrupted run resumes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_cases import SURE, Verdict
from pydantic_ai.messages import ModelMessage

from ai_base.llm.errors import PromptVariableError
from ai_base.llm.gateway.batch import Progress
from ai_base.testing.doubles import RuleModel

QUESTIONS = [{"question": f"Number {number}?"} for number in range(20)]


class Gauge:
    """Counts how many requests are under way; the earlier ones take the longest."""

    def __init__(self) -> None:
        self.now = self.most = self.asked = 0

    async def __call__(self, messages: list[ModelMessage]) -> str:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(30 - self.asked):
            await asyncio.sleep(0)
        self.now -= 1
        return f"Answer to {messages[-1].parts[0].content}"  # type: ignore[union-attr]


async def test_answers_come_in_order_with_a_bounded_number_of_calls_at_a_time(open_gateway: Any) -> None:
    gauge = Gauge()
    async with open_gateway(main=RuleModel({".*": gauge})) as gateway:
        items = [item async for item in gateway.ask_many("plain", iter(QUESTIONS), concurrency=3)]

    assert [item.answer.output for item in items] == [f"Answer to Number {number}?" for number in range(20)]
    assert [item.index for item in items] == list(range(20))
    assert gauge.most == 3


async def test_an_iterator_is_read_only_as_far_as_needed(open_gateway: Any) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield {"question": f"{taken}"}

    async with open_gateway(main=RuleModel({".*": "x"})) as gateway:
        many = gateway.ask_many("plain", endless(), concurrency=2)
        await anext(many)
        await many.aclose()

    assert taken <= 8


async def test_a_failure_is_an_item_and_the_others_go_on(open_gateway: Any) -> None:
    questions = [QUESTIONS[0], {"wrong": "variable"}, QUESTIONS[1]]
    seen: list[str] = []
    async with open_gateway(main=RuleModel({".*": "x"})) as gateway:
        report = gateway.ask_many("plain", questions, on_progress=lambda progress: seen.append(str(progress)))
        items = [item async for item in report]

    assert [type(item.error) for item in items] == [type(None), PromptVariableError, type(None)]
    assert len(seen) == 3
    assert seen[-1].startswith("3 of 3 done, 1 failed, 0 resumed, $0.00")


async def test_an_interrupted_run_keeps_its_answers_and_resumes(open_gateway: Any, tmp_path: Path) -> None:
    """As with Ctrl-C: the task is cancelled while questions are under way."""
    file, asked = tmp_path / "answers.jsonl", 0

    async def reply(_: object) -> Any:
        nonlocal asked
        asked += 1
        if asked == 8:
            task.cancel()
        return SURE

    options = {"output_type": Verdict, "resume": file, "concurrency": 2}
    async with open_gateway(main=RuleModel({"(?s).*": reply})) as gateway:

        async def everything() -> list[Any]:
            return [item async for item in gateway.ask_many("plain", QUESTIONS, **options)]

        task = asyncio.create_task(everything())
        with pytest.raises(asyncio.CancelledError):
            await task
        kept = len(file.read_text(encoding="utf-8").splitlines())
        file.write_text(file.read_text(encoding="utf-8") + '{"key": "cut o', encoding="utf-8")
        asked, before = 100, kept
        progress: list[Progress] = []
        items = [item async for item in gateway.ask_many("plain", QUESTIONS, on_progress=progress.append, **options)]
        await everything()

    assert 6 <= kept < 20
    assert asked == 100 + 20 - before
    assert {item.answer.output.category for item in items} == {"bug"}
    assert (progress[-1].done, progress[-1].resumed) == (20, kept)


async def test_another_question_or_an_edited_prompt_is_not_resumed(
    open_gateway: Any, prompts: Path, tmp_path: Path
) -> None:
    file, model = tmp_path / "answers.jsonl", RuleModel({".*": "x"})
    async with open_gateway(main=model) as gateway:

        async def ask_all() -> None:
            async for _ in gateway.ask_many("plain", QUESTIONS[:2], resume=file):
                pass

        await ask_all()
        await ask_all()
        assert len(model.requests) == 2
        (prompts / "plain.md").write_text("Edited: {" + "{ question }" + "}", encoding="utf-8")
        await ask_all()

    assert len(model.requests) == 4
