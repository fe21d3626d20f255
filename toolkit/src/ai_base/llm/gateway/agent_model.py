"""A chain as a model for agents: one run is one interaction, and its output is cleaned like that of `Gateway.ask`."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from pydantic_core import from_json, to_json

from ai_base.llm.candidates.chain import Candidates, ChainModel, record_response
from ai_base.llm.errors import LLMError
from ai_base.llm.interaction import ActiveInteraction
from ai_base.text.clean import Cleaner, clean, clean_value
from ai_base.text.json_strings import encodable

type HTML = Literal["escape", "keep"]
type Join = Callable[[], AbstractAsyncContextManager[ActiveInteraction]]

if not hasattr(Model, "_run_scope"):  # without it, each request of a run would have caps of its own
    raise ImportError("this version of pydantic-ai does not tell a model where an agent's run starts and ends")


class AgentModel(ChainModel):
    """What `Gateway.model` returns. A run inside another interaction belongs to that one."""

    def __init__(self, candidates: Candidates, chain: str, join: Join, html: Callable[[], HTML]) -> None:
        super().__init__(candidates, chain, join)
        self._join_interaction, self._html = join, html

    @asynccontextmanager
    async def _run_scope(self) -> AsyncGenerator[None]:
        """Hold one interaction open for a whole run: pydantic-ai enters this around all requests of the run."""
        async with self._join_interaction(), super()._run_scope():
            yield

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the chain. Raises as `ChainModel.request`."""
        async with self._join_interaction() as call:
            try:
                response = await super().request(messages, model_settings, model_request_parameters)
            except LLMError as error:
                error.unsettled = error.unsettled and _clean_response(error.unsettled, frozenset(), self._html())
                raise
            cleaned = _clean_response(response, _output_tools(model_request_parameters), self._html())
            record_response(call.row, cleaned)
            return cleaned

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the chain for a stream. Raises as `ChainModel.request_stream`."""
        request = messages, model_settings, model_request_parameters, run_context
        async with self._join_interaction() as call, super().request_stream(*request) as stream:
            cleaned = CleanStream(stream, self._html())
            yield cleaned
            record_response(call.row, cleaned.get())


class CleanStream(StreamedResponse):
    """A stream whose text, and whose arguments of output tools, are cleaned. Everything else is the inner stream's."""

    def __init__(self, inner: StreamedResponse, html: HTML) -> None:
        super().__init__(inner.model_request_parameters)
        self._inner, self._html = inner, html
        self._tools = _output_tools(inner.model_request_parameters)
        self._cleaners: dict[int, Cleaner] = {}

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Yield the inner stream's events, cleaned."""
        if self._event_iterator is None:
            self._event_iterator = self._get_event_iterator()
        return self._event_iterator

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for event in self._inner:
            self.finish_reason, self.final_result_event = self._inner.finish_reason, self._inner.final_result_event
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                cleaner = self._cleaners[event.index] = Cleaner(self._html)
                yield replace(event, part=replace(event.part, content=cleaner.feed(event.part.content)))
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                text = self._cleaners[event.index].feed(event.delta.content_delta)
                yield replace(event, delta=replace(event.delta, content_delta=text))
            elif isinstance(event, PartEndEvent):
                if event.index in self._cleaners:
                    rest = self._cleaners[event.index].close()
                    yield PartDeltaEvent(index=event.index, delta=TextPartDelta(rest))
                yield replace(event, part=_clean_part(event.part, self._tools, self._html))
            else:
                yield event

    def get(self) -> ModelResponse:
        """Return what has been streamed so far, cleaned."""
        return _clean_response(self._inner.get(), self._tools, self._html)

    async def close_stream(self) -> None:
        """Cancel the inner stream."""
        await self._inner.cancel()

    @property
    def usage(self) -> RequestUsage:
        """Usage so far."""
        return self._inner.usage

    @property
    def model_name(self) -> str:
        """The inner stream's model."""
        return self._inner.model_name

    @property
    def provider_name(self) -> str | None:
        """The inner stream's provider."""
        return self._inner.provider_name

    @property
    def provider_url(self) -> str | None:
        """The inner stream's provider."""
        return self._inner.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the inner stream started."""
        return self._inner.timestamp


def _output_tools(params: ModelRequestParameters) -> frozenset[str]:
    return frozenset(tool.name for tool in params.output_tools)


def _clean_response(response: ModelResponse, output_tools: frozenset[str], html: HTML) -> ModelResponse:
    return replace(response, parts=[_clean_part(_encodable(part), output_tools, html) for part in response.parts])


def _encodable[P: ModelResponsePart](part: P) -> P:
    """Replace what no request and no JSON holds: half of a surrogate pair in any text, arguments nested too deeply."""
    try:
        changed = {name: found for name, value in vars(part).items() if (found := encodable(value)) != value}
    except RecursionError:
        changed = {"args": "nested too deeply"}  # is no JSON, so the call is refused
    return replace(part, **changed) if changed else part


def _clean_part[P: ModelResponsePart](part: P, output_tools: frozenset[str], html: HTML) -> P:
    """Clean text and the arguments of output tools. Other tools get their arguments as the model wrote them."""
    if isinstance(part, TextPart):
        return replace(part, content=clean(part.content, html))
    if isinstance(part, ToolCallPart) and part.tool_name in output_tools and part.args:
        try:
            args: Any = part.args
            if isinstance(args, str):
                args = from_json(args, allow_partial="trailing-strings")
        except ValueError:
            return part  # not JSON: the agent will refuse it
        return replace(part, args=to_json(clean_value(args, html)).decode())
    return part
