"""Test doubles of a model: scripted, echoing or rule-based. `faults.FaultyModel` makes any of them fail."""

import asyncio
import inspect
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from pydantic import BaseModel
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent, TextPart, ToolCallPart
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

type Content = str | dict[str, Any] | BaseModel | ModelResponse
"""What a double answers: text as it is; an object as JSON, or as a call of the output tool."""

type Outcome = Content | Exception
type Answer = Outcome | Callable[[list[ModelMessage]], Outcome | Awaitable[Outcome]]


class ScriptError(AssertionError):
    """The code under test made other requests than its test expects."""


@dataclass(frozen=True)
class Step:
    """One answer, `delay` seconds late. Text in `expect` must occur in the prompt, a compiled pattern must match."""

    answer: Answer
    expect: str | re.Pattern[str] = ""
    usage: RequestUsage | None = None
    delay: float = 0.0


class Call(NamedTuple):
    """What a model was sent."""

    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters

    @property
    def prompt(self) -> str:
        """All of its text, instructions first."""
        texts = [part.content for part in self.parameters.instruction_parts or ()]
        texts = texts or [str(getattr(self.messages[-1], "instructions", None) or "")]
        return "\n\n".join(filter(None, texts + [_text(part) for message in self.messages for part in message.parts]))


class Double(Model):
    """Base class of the doubles. As a context manager, it calls `check` at the end.

    Code under test may swallow an AssertionError. So the first one is kept. `check` raises it again, and so does the
    end of the context, in place of any other error.
    """

    def __init__(self, name: str = "double") -> None:
        super().__init__(profile=ModelProfile(supports_json_schema_output=True, supports_json_object_output=True))
        self.requests: list[Call] = []
        self._name = name
        self._failure: AssertionError | None = None
        self._lock = threading.Lock()

    @property
    def model_name(self) -> str:
        """The name that its responses carry."""
        return self._name

    @property
    def system(self) -> str:
        """The provider's name."""
        return "double"

    @property
    def prompts(self) -> list[str]:
        """The text of each request."""
        return [call.prompt for call in self.requests]

    def check(self) -> None:
        """Raise what went wrong, even where it was swallowed."""
        if self._failure:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.check()
        elif self._failure and self._failure is not error:
            raise self._failure from error

    def _step(self, call: Call) -> Step:
        """Choose the step that answers the newest request. Never called concurrently."""
        raise NotImplementedError

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer with the step that is due."""
        call = Call(list(messages), *self.prepare_request(model_settings, model_request_parameters))
        try:
            with self._lock:
                self.requests.append(call)
                step = self._step(call)
            await asyncio.sleep(step.delay)
            answer = step.answer(messages) if callable(step.answer) else step.answer
            content = await answer if inspect.isawaitable(answer) else answer
            if isinstance(content, Exception):
                raise content
        except AssertionError as error:
            self._failure = self._failure or error
            raise
        return respond(content, call, self._name, step.usage)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002 - the signature of a model
    ) -> AsyncGenerator[StreamedResponse]:
        """Answer with the step that is due, a word at a time."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield Playback(response, Call(messages, *self.prepare_request(model_settings, model_request_parameters)))


class ScriptedModel(Double):
    """Answers with one step after the other. `check` fails if a step is left over."""

    def __init__(self, *steps: Answer | Step, name: str = "scripted") -> None:
        super().__init__(name)
        self._steps = [step if isinstance(step, Step) else Step(step) for step in steps]

    def _step(self, call: Call) -> Step:
        asked = len(self.requests)
        if asked > len(self._steps):
            raise ScriptError(f"{self._name}: call {asked}, but the script has {len(self._steps)} steps{_quote(call)}")
        step = self._steps[asked - 1]
        if not (step.expect in call.prompt if isinstance(step.expect, str) else step.expect.search(call.prompt)):
            raise ScriptError(f"{self._name}: step {asked} expects {step.expect!r} in its prompt{_quote(call)}")
        return step

    def check(self) -> None:
        """Raise what went wrong, even where it was swallowed; a step that is left over, too."""
        super().check()
        if left := self._steps[len(self.requests) :]:
            asked = "".join(map(_quote, self.requests))
            raise ScriptError(f"{self._name}: {len(left)} of {len(self._steps)} steps are left over: {left}{asked}")


MockLLMWithChain = ScriptedModel


class EchoModel(Double):
    """Answers with the last message that it was sent."""

    def _step(self, call: Call) -> Step:
        return Step(Call(call.messages[-1:], None, ModelRequestParameters()).prompt)


class RuleModel(Double):
    """Answers by the first rule whose regular expression is found in the prompt."""

    def __init__(self, rules: Mapping[str, Answer | Step], name: str = "rules") -> None:
        super().__init__(name)
        self._rules = rules

    def _step(self, call: Call) -> Step:
        for pattern, answer in self._rules.items():
            if re.search(pattern, call.prompt):
                return answer if isinstance(answer, Step) else Step(answer)
        raise ScriptError(f"{self._name}: none of the rules {list(self._rules)} matches the prompt{_quote(call)}")


class Playback(CompletedStreamedResponse):
    """A response as a stream: a word at a time, its usage at the end, as providers send them."""

    get = StreamedResponse.get  # what has been streamed so far, not the whole response
    usage = StreamedResponse.usage

    def __init__(self, response: ModelResponse, call: Call, seconds: float = 0, error: Exception | None = None) -> None:
        """Spread the words over `seconds`; raise `error`, if given, in place of the end."""
        super().__init__(response, model_request_parameters=call.parameters)
        self._seconds, self._error = seconds, error

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        pieces = [
            (index, piece)
            for index, part in enumerate(self.response.parts)
            for piece in (re.findall(r"\s*\S+|\s+", part.content) if isinstance(part, TextPart) else [part])
        ]
        for index, piece in pieces:
            await asyncio.sleep(self._seconds / len(pieces))
            if isinstance(piece, str):
                for event in self._parts_manager.handle_text_delta(vendor_part_id=index, content=piece):
                    yield event
            else:
                yield self._parts_manager.handle_part(vendor_part_id=index, part=piece)
        if self._error:
            raise self._error
        self._usage, self.finish_reason = self.response.usage, self.response.finish_reason
        self.provider_details = self.response.provider_details


def respond(content: Content, call: Call, name: str, usage: RequestUsage | None = None) -> ModelResponse:
    """Make the response. If its usage is not given, four bytes count as a token, and at least one token is used."""
    if isinstance(content, ModelResponse):
        response = replace(content, model_name=content.model_name or name)
    elif isinstance(content, str):
        response = ModelResponse([TextPart(content)], model_name=name, finish_reason="stop")
    else:
        response = structured(to_json(content).decode(), call, name)
    if usage or not response.usage.has_values():
        given, made = (max(1, len(text.encode()) // 4) for text in (call.prompt, "".join(map(_text, response.parts))))
        response = replace(response, usage=usage or RequestUsage(input_tokens=given, output_tokens=made))
    return response


def tool_call(tool: str, **arguments: Any) -> ModelResponse:  # noqa: ANN401 - as the tool has them
    """Return a response that calls a tool: a step of a script."""
    return ModelResponse([ToolCallPart(tool, arguments)], finish_reason="tool_call")


def structured(json: str, call: Call, name: str) -> ModelResponse:
    """Answer with an object where it was asked for: as the arguments of the output tool, or as text."""
    tools = call.parameters.output_tools
    part = ToolCallPart(tools[0].name, json, tool_call_id=f"call_{len(call.messages)}") if tools else TextPart(json)
    return ModelResponse([part], model_name=name, finish_reason="tool_call" if tools else "stop")


def _text(part: object) -> str:
    content = part.args_as_json_str() if isinstance(part, ToolCallPart) else getattr(part, "content", "")
    items = content if isinstance(content, list | tuple) else [content]
    return "\n".join(item if isinstance(item, str) else to_json(item, bytes_mode="base64").decode() for item in items)


def _quote(call: Call) -> str:
    return f"\n--- request ---\n{call.prompt[:2000]}"
