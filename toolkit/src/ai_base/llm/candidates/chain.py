"""Chains of guarded candidates, as the configuration of this moment has them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import structlog
from pydantic_ai import RunContext
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelRequestTimeout
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel

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

if TYPE_CHECKING:
    from httpx2 import AsyncClient

log = structlog.get_logger(__name__)


class Candidates:
    """The guards by name. One is built anew, and its breaker and queue with it, when its configuration changes."""

    def __init__(
        self, config: Callable[[], Config], ledger: Ledger, client: "AsyncClient", doubles: Mapping[str, Model]
    ) -> None:
        self.config, self._ledger, self._client, self._doubles = config, ledger, client, doubles
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
        if (known := self._guards.get(name)) and known.candidate == candidate:
            return known
        price = price_of(candidate.model, candidate.price)
        if price is None:
            raise UnpricedModelError(candidate.model)
        broken: ConfigError | None = None
        try:
            model = self._doubles.get(name) or build_model(candidate, self._client)
        except ConfigError as error:
            broken, model = error, _unusable(candidate.model, error)
        guard = self._guards[name] = Guard(instrument(model), name, candidate, price, self._ledger, self.config)
        if broken:  # the others of its chain answer meanwhile
            guard.breaker.take_out()
            log.error("llm candidate taken out: mend its configuration", candidate=name, error=str(broken))
        return guard


def _unusable(name: str, error: ConfigError) -> Model:
    """Stand in for a model that could not be built, until its configuration changes."""
    from pydantic_ai.models.function import FunctionModel  # noqa: PLC0415 - hardly ever needed

    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise error

    return FunctionModel(fail, stream_function=fail, model_name=name)


class ChainModel(FallbackModel):
    """A chain as one model, for an agent or whatever else takes a model. It follows the configuration as it changes."""

    def __init__(
        self, candidates: Candidates, chain: str, join: Callable[[], AbstractAsyncContextManager[ActiveInteraction]]
    ) -> None:
        self._candidates, self._name, self._join = candidates, chain, join
        super().__init__(*candidates.chain(chain), fallback_on=(UnavailableError,))

    @property
    def models(self) -> list[Model]:
        """The chain's guards, as configured now; those of the cheaper chain while a cap is nearly used up."""
        call = find_interaction()
        return list(self._candidates.chain((call.cheaper_chain if call else "") or self._name))
    @models.setter
    def models(self, _: list[Model]) -> None:
        """Ignored: what the base class keeps is as of its beginning."""

    async def request(self, messages: Messages, settings: Settings, params: Params) -> ModelResponse:
        """Ask the candidates in turn.

        Raises:
            AllCandidatesFailedError: None could answer.
            LLMError: As a guard raises it.
        """
        async with self._within_interaction(messages, settings, params) as (row, limited):
            response = await super().request(messages, limited, params)
            record_response(row, response)
            return response

    @asynccontextmanager
    async def request_stream(
        self, messages: Messages, settings: Settings, params: Params, run_context: RunContext[Any] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the candidates in turn for a stream, until one has begun. Raises as `request`."""
        async with self._within_interaction(messages, settings, params) as (row, limited), AsyncExitStack() as stack:
            failures: list[Exception] = []
            for guard in cast("list[Guard]", self.models):
                try:
                    opening = guard.request_stream(messages, limited, params, run_context)
                    stream = await stack.enter_async_context(opening)
                except UnavailableError as error:
                    failures.append(error)
                    continue
                yield stream
                if not row.response:  # unless whoever read the stream noted it, cleaned
                    record_response(row, stream.get())
                return
            raise AllCandidatesFailedError(self._name, failures)

    @asynccontextmanager
    async def _within_interaction(
        self, messages: Messages, settings: Settings, params: Params
    ) -> AsyncIterator[tuple[Interaction, Settings]]:
        """Join the interaction that is under way, or be one; what is left of its time is the limit for all."""
        async with self._join() as call:
            limit, size = self._candidates.config().input.max_bytes, size_of(messages, params)
            if size > limit and not call.row.prompt_version:  # a question fits already
                raise InputTooLargeError(limit, size)
            call.row.request = call.row.request or scrub(_text_of(messages[-1]))
            try:
                yield call.row, {**(settings or {}), "request_timeout": call.remaining()}
            except FallbackExceptionGroup as group:
                raise AllCandidatesFailedError(self._name, group.exceptions) from group
            except (UnavailableError, ModelRequestTimeout):  # broken off, perhaps because the time was up
                call.remaining()
                raise


def record_response(row: Interaction, response: ModelResponse) -> None:
    """Write a response into an interaction's row; a later response replaces it."""
    row.response, row.model, row.source = scrub(_text_of(response)), response.model_name or "", "model"


def _text_of(message: ModelMessage) -> str:
    """Return what a message says, tool calls included, for the record."""
    said = (part.args if isinstance(part, ToolCallPart) else getattr(part, "content", "") for part in message.parts)
    return "\n".join(each if isinstance(each, str) else str(each) for each in said if each)
