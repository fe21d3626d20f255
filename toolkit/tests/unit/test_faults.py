"""Faults come in order and spoil what they say; that they are like the real ones, a functional test shows."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
import virtual_time
from pydantic import BaseModel
from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart
from pydantic_ai.models import Model

from ai_base.testing.doubles import EchoModel, ScriptedModel
from ai_base.testing.faults import (
    FaultyModel,
    invalid_json,
    reset,
    server_error,
    slow,
    truncated,
    wrong_schema,
)


class Person(BaseModel):
    name: str
    age: int


ADA = Person(name="Ada", age=36)


def run[T](work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def request(model: Model, prompt: str = "Who?") -> ModelResponse:
    return await direct.model_request(model, [ModelRequest.user_text_prompt(prompt)])


def ask(model: Model, prompt: str = "Who?") -> str | None:
    return run(request(model, prompt)).text


async def streamed(model: Model, words: list[str]) -> ModelResponse:
    """Read a stream to its end; `words` has what came, even when it breaks off."""
    async with direct.model_request_stream(model, [ModelRequest.user_text_prompt("Who?")]) as stream:
        async for event in stream:
            if event.event_kind == "part_start" and isinstance(event.part, TextPart):
                words.append(event.part.content)
            elif event.event_kind == "part_delta" and event.delta.part_delta_kind == "text":
                words.append(event.delta.content_delta)
        return stream.get()


def test_faults_come_one_per_call_and_then_no_more() -> None:
    with ScriptedModel("first", "second", "third") as inner:
        model = FaultyModel(inner, None, server_error(), invalid_json("{no"))
        assert ask(model) == "first"
        with pytest.raises(Exception, match="status_code: 500, model_name: scripted"):
            ask(model)
        assert [ask(model) for _ in range(3)] == ["{no", "second", "third"]

    assert model.calls == 5


def test_the_last_fault_can_stay_for_ever() -> None:
    model = FaultyModel(ScriptedModel(), server_error(), wrong_schema(), forever=True)

    with pytest.raises(Exception, match="500"):
        ask(model)
    assert [ask(model) for _ in range(3)] == ['{"unexpected": true}'] * 3


def test_bad_answers_are_charged_for() -> None:
    answer = run(request(FaultyModel(EchoModel(), truncated('{"summary": "It')), "x" * 40))

    assert (answer.text, answer.finish_reason) == ('{"summary": "It', "length")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 3)


def test_an_agent_repairs_a_bad_object() -> None:
    with ScriptedModel(ADA) as inner:
        model = FaultyModel(inner, wrong_schema())
        assert run(Agent(model, output_type=Person).run("Who?")).output == ADA


def test_a_stream_breaks_off_in_the_middle() -> None:
    words: list[str] = []

    with pytest.raises(Exception, match="Connection error"):
        run(streamed(FaultyModel(EchoModel(), reset()), words))

    assert words == ["The", " answer"]


def test_a_slow_answer_is_late_and_a_slow_stream_is_spread_over_time() -> None:
    words: list[str] = []

    async def main() -> tuple[float, float]:
        clock = asyncio.get_running_loop().time
        await request(FaultyModel(EchoModel(), slow(5)))
        answered = clock()
        await streamed(FaultyModel(ScriptedModel("a b c d e"), slow(10)), words)
        return answered, clock()

    assert virtual_time.run(main()) == (5, 15)
    assert len(words) == 5
