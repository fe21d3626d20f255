"""Chains of guarded candidates. Each call uses the configuration of its time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from httpx2 import AsyncClient
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.function import FunctionModel

from ai_base.llm.candidates.attempt import safe_name
from ai_base.llm.candidates.bounds import Messages, Params, Settings, size_of
from ai_base.llm.candidates.guard import Guard
from ai_base.llm.candidates.providers import build_model
from ai_base.llm.candidates.telemetry import instrument
from ai_base.llm.configuration.config import Candidate, Config
from ai_base.llm.configuration.prices import price_of
from ai_base.llm.errors import (
    AllCandidatesFailedError,
    ConfigError,
    InputTooLargeError,
    UnavailableError,
    UnpricedModelError,
)
from ai_base.llm.interaction import ActiveInteraction, find_interaction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Interaction
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)


class Candidates:
    """Guards by candidate name. A changed configuration rebuilds the guard, including its breaker and queue."""

    def __init__(
        self, config: Callable[[], Config], ledger: Ledger, client: AsyncClient, doubles: Mapping[str, Model]
    ) -> None:
        self.config, self.ledger, self.client, self._doubles = config, ledger, client, doubles
        self._guards: dict[str, Guard] = {}

    def chain(self, name: str) -> list[Guard]:
        """Return the guards of a chain, in order.

        Raises:
            ConfigError: There is no such chain.
        """
        config = self.config()
        if name not in config.chains:
            raise ConfigError("chains", f"none is called {name!r}; there are: {', '.join(sorted(config.chains))}")
        guards = [self._guard(candidate, config.candidates[candidate]) for candidate in config.chains[name]]
        for guard in guards:
            guard.breaker.settings = config.breaker
        return guards

    def _guard(self, name: str, candidate: Candidate) -> Guard:
        known = self._guards.get(name)
        if known is not None and (known.candidate is candidate or known.candidate == candidate):
            return known
        price = price_of(candidate.model, candidate.price)
        if price is None:
            raise UnpricedModelError(candidate.model)
        broken: ConfigError | None = None
        try:
            model = self._doubles.get(name) or build_model(candidate, self.client)
        except ConfigError as error:
            broken, model = error, _unusable(candidate.model, error)
        guard = self._guards[name] = Guard(instrument(model), name, candidate, price, self.ledger, self.config)
        if broken:  # the others of its chain answer meanwhile
            guard.breaker.take_out(str(broken))
            log.error("llm candidate taken out: change its configuration", candidate=name, error=str(broken))
        return guard


def _unusable(name: str, error: ConfigError) -> Model:
    """Return a model in place of one that could not be built; each request raises the error."""

    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise error

    return FunctionModel(fail, stream_function=fail, model_name=name)


class ChainModel(Model):
    """A chain as one model, for an agent or any other code that takes a model. It follows the configuration."""

    def __init__(
        self, candidates: Candidates, chain: str, join: Callable[[], AbstractAsyncContextManager[ActiveInteraction]]
    ) -> None:
        super().__init__()
        self._candidates, self._name, self._join = candidates, chain, join
        candidates.chain(chain)  # raises if there is none

    @property
    def models(self) -> list[Guard]:
        """The chain's guards, as configured now; those of the cheaper chain while a cap is nearly used up."""
        call = find_interaction()
        return self._candidates.chain((call.cheaper_chain if call else "") or self._name)

    @property
    def model_name(self) -> str:
        """The names of the candidates' models."""
        return "chain:" + ",".join(guard.model_name for guard in self.models)

    @property
    def system(self) -> str:
        """The candidates' providers."""
        return "chain:" + ",".join(guard.system for guard in self.models)

    async def request(self, messages: Messages, settings: Settings, params: Params) -> ModelResponse:
        """Ask the candidates in turn.

        Raises:
            AllCandidatesFailedError: None could answer.
            LLMError: As a guard raises it.
        """

        async def ask(guard: Guard) -> ModelResponse:
            return await guard.request(guard.prepare_messages(messages, params), settings, params)

        async with self._within_interaction(messages, params) as call:
            response = await self._first_answer(call, ask)
            record_response(call.row, response)
            return response

    @asynccontextmanager
    async def request_stream(
        self, messages: Messages, settings: Settings, params: Params, run_context: RunContext[Any] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the candidates in turn for a stream, until one has begun. Raises as `request`."""
        async with self._within_interaction(messages, params) as call, AsyncExitStack() as stack:

            async def ask(guard: Guard) -> StreamedResponse:
                prepared = guard.prepare_messages(messages, params)
                return await stack.enter_async_context(guard.request_stream(prepared, settings, params, run_context))

            stream = await self._first_answer(call, ask)
            recorded_before = call.row.response
            yield stream
            if call.row.response == recorded_before:  # the reader has not recorded the cleaned text itself
                record_response(call.row, stream.get())
            call.row.model = safe_name(call.row.model)

    async def _first_answer[R](self, call: ActiveInteraction, ask: Callable[[Guard], Awaitable[R]]) -> R:
        """Return the response of the first candidate that can answer."""
        failures: list[Exception] = []
        for guard in self.models:
            try:
                return await ask(guard)
            except UnavailableError as error:
                failures.append(error)
        call.remaining()  # a candidate may have failed because the time was up
        raise AllCandidatesFailedError(self._name, failures)

    @asynccontextmanager
    async def _within_interaction(self, messages: Messages, params: Params) -> AsyncIterator[ActiveInteraction]:
        """Join the interaction in progress, or start one."""
        async with self._join() as call:
            if not call.row.prompt_version:  # the size of a question is checked where it is rendered
                limit, size = self._candidates.config().input.max_bytes, size_of(messages, params)
                if size > limit:
                    raise InputTooLargeError(limit, size)
            call.row.request = call.row.request or scrub(_text_of(messages[-1]))
            yield call


def record_response(row: Interaction, response: ModelResponse) -> None:
    """Write a response into an interaction's row; a later response replaces it."""
    row.response, row.model, row.source = scrub(_text_of(response)), safe_name(response.model_name or ""), "model"


def _text_of(message: ModelMessage) -> str:
    """Return the text of a message, tool calls included, for the record."""
    contents = (part.args if isinstance(part, ToolCallPart) else getattr(part, "content", "") for part in message.parts)
    return "\n".join(each if isinstance(each, str) else str(each) for each in contents if each)
