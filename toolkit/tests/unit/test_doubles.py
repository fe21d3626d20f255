"""The doubles are strict: what a test did not foresee fails it, even where the code under test swallows the failure."""

import asyncio
import re
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import virtual_time
from pydantic import BaseModel
from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.usage import RequestUsage

from ai_base.testing.doubles import (
    Call,
    EchoModel,
    MockLLMWithChain,
    RuleModel,
    ScriptedModel,
    ScriptError,
    Step,
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


# ---- A script ----


def test_answers_step_after_step_and_tells_what_it_was_asked() -> None:
    reply = ModelResponse([TextPart("as it is")], model_name="gpt-9", usage=RequestUsage(input_tokens=7))

    with ScriptedModel("one", {"two": 2}, ADA, reply, lambda messages: f"{len(messages)} message") as model:
        answers = [ask(model, f"question {number}") for number in range(5)]

    assert answers == ["one", '{"two":2}', '{"name":"Ada","age":36}', "as it is", "1 message"]
    assert model.prompts == [f"question {number}" for number in range(5)]


def test_keeps_messages_settings_and_parameters() -> None:
    with ScriptedModel("ok") as model:
        agent = Agent(model, instructions="Be brief.", model_settings={"max_tokens": 5})
        run(agent.run("Who?"))

    assert model.prompts == ["Be brief.\n\nWho?"]
    assert model.requests[0].settings == {"max_tokens": 5}
    assert model.requests[0].parameters.output_tools == []
    assert isinstance(model.requests[0].messages[0], ModelRequest)


def test_the_articles_name_for_the_scripted_model_works() -> None:
    with MockLLMWithChain("first", "second") as model:
        assert [ask(model), ask(model)] == ["first", "second"]


def test_an_exhausted_script_fails_and_shows_what_was_asked() -> None:
    model = ScriptedModel("only")
    ask(model)

    with pytest.raises(ScriptError, match=r"call 2, but the script has 1 steps\n--- request ---\nOnce more\?"):
        ask(model, "Once more?")


def test_a_step_that_is_left_over_fails_and_shows_what_was_asked() -> None:
    with pytest.raises(ScriptError) as caught, ScriptedModel("one", "two") as model:
        ask(model, "The one question")

    assert "1 of 2 steps are left over: [Step(answer='two'" in str(caught.value)
    assert str(caught.value).endswith("The one question")


@pytest.mark.parametrize("expect", ["refund", re.compile(r"order \d+")])
def test_an_unexpected_prompt_fails_and_shows_it(expect: str | re.Pattern[str]) -> None:
    with ScriptedModel(Step("ok", expect=expect)) as model:
        assert ask(model, "A refund of order 66") == "ok"

    with pytest.raises(ScriptError, match=r"step 1 expects .*\n--- request ---\nGood morning"):
        ask(ScriptedModel(Step("ok", expect=expect)), "Good morning")


def test_expected_text_is_no_pattern() -> None:
    with pytest.raises(ScriptError):
        ask(ScriptedModel(Step("ok", expect="1.5")), "125")


@pytest.mark.parametrize("model", [ScriptedModel(Step("ok", expect="refund")), ScriptedModel(), RuleModel({})])
def test_a_failure_that_was_swallowed_comes_back(model: ScriptedModel | RuleModel) -> None:
    async def careless() -> str:
        try:
            return (await request(model)).text or ""
        except Exception:  # noqa: BLE001 - the point of the test
            return "sorry"

    with pytest.raises(ScriptError), model:
        assert run(careless()) == "sorry"
    with pytest.raises(ScriptError):
        model.check()


def test_a_failure_that_was_wrapped_comes_back_in_its_place() -> None:
    def wrapping() -> None:
        try:
            ask(model)
        except AssertionError as error:
            raise ValueError("all candidates failed") from error

    model = ScriptedModel()
    with pytest.raises(ScriptError) as caught, model:
        wrapping()

    assert isinstance(caught.value.__cause__, ValueError)


def test_an_assertion_in_a_step_comes_back_as_well() -> None:
    def check(_: object) -> str:
        raise AssertionError("this should not be asked")

    model = ScriptedModel(check)
    with pytest.raises(AssertionError, match="should not be asked"):
        ask(model)
    with pytest.raises(AssertionError, match="should not be asked"):
        model.check()


def test_a_left_over_step_hides_no_other_error() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedModel("unused"):
        1 / 0  # noqa: B018


def test_raises_the_exceptions_in_the_script() -> None:
    async def failing(_: object) -> Exception:
        await asyncio.sleep(0)
        return LookupError("later")

    with ScriptedModel(OSError("down"), failing) as model:
        with pytest.raises(OSError, match="down"):
            ask(model)
        with pytest.raises(LookupError, match="later"):
            ask(model)


def test_waits_as_long_as_a_step_says() -> None:
    async def main() -> float:
        model = ScriptedModel(Step("ok", delay=50))
        await direct.model_request(model, [ModelRequest.user_text_prompt("Who?")])
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == 50


def test_concurrent_calls_take_each_step_once() -> None:
    class Sluggish(ScriptedModel):
        def _step(self, call: Call) -> Step:
            time.sleep(0.0001)  # so that another thread may come between
            return super()._step(call)

    async def all_at_once(first: int) -> list[int]:
        calls = (request(model, "Who?") for _ in range(first, first + 50))
        return [int(answer.text or -1) for answer in await asyncio.gather(*calls)]

    with Sluggish(*map(str, range(400))) as model, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda first: run(all_at_once(first)), range(0, 400, 50)))

    assert sorted(answer for some in answers for answer in some) == list(range(400))


# ---- In an agent ----


def test_an_object_is_what_an_agent_wants() -> None:
    with ScriptedModel(ADA, {"name": "Eve", "age": 1}) as model:
        agent = Agent(model, output_type=Person)
        assert [run(agent.run("Who?")).output for _ in range(2)] == [ADA, Person(name="Eve", age=1)]


def test_an_agent_streams_text_and_objects() -> None:
    async def stream() -> tuple[list[str], Person]:
        async with Agent(model).run_stream("Who?") as text:
            words = [word async for word in text.stream_text(delta=True, debounce_by=None)]
        async with Agent(model, output_type=Person).run_stream("Who?") as answer:
            return words, await answer.get_output()

    with ScriptedModel("It is Ada.", ADA) as model:
        assert run(stream()) == (["It", " is", " Ada."], ADA)


def test_a_token_is_four_bytes_unless_a_step_says_otherwise() -> None:
    usage = RequestUsage(input_tokens=8000, output_tokens=100)
    model = ScriptedModel("é" * 10, "", Step("x", usage=usage), ModelResponse([], usage=usage))

    used = [run(request(model, prompt)).usage for prompt in ("ab" * 50, "", "x", "x")]

    assert [(one.input_tokens, one.output_tokens) for one in used] == [(25, 5), (1, 1), (8000, 100), (8000, 100)]


def test_a_stream_reports_its_usage_at_its_end_only() -> None:
    async def stream(*, to_the_end: bool) -> ModelResponse:
        async with direct.model_request_stream(EchoModel(), [ModelRequest.user_text_prompt("a b c d")]) as events:
            async for _ in events:
                if not to_the_end:
                    break
            return events.get()

    whole, broken = run(stream(to_the_end=True)), run(stream(to_the_end=False))

    assert (whole.text, whole.usage.output_tokens, whole.state) == ("a b c d", 1, "complete")
    assert (broken.text, broken.usage.output_tokens, broken.state) == ("a", 0, "incomplete")


# ---- Echo and rules ----


def test_echoes_the_last_message() -> None:
    asked = [ModelRequest.user_text_prompt("Hello"), ModelRequest.user_text_prompt("What is {this}?")]

    assert run(direct.model_request(EchoModel(), asked)).text == "What is {this}?"


def test_the_first_rule_that_matches_answers() -> None:
    with RuleModel({"refund": '{"category": "billing"}', r"(?i)crash\w*": ADA, "": "else"}) as model:
        answers = [ask(model, prompt) for prompt in ("It CRASHED", "crash, so refund", "Hello")]

    assert answers == ['{"name":"Ada","age":36}', '{"category": "billing"}', "else"]


def test_no_rule_is_an_error_that_shows_what_was_asked() -> None:
    with pytest.raises(ScriptError, match=r"none of the rules \['refund'\] matches the prompt\n.*\nGood morning"):
        ask(RuleModel({"refund": "ok"}), "Good morning")
