"""Chains of guarded candidates, as the configuration of this moment has them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from pydantic_ai import RunContext
from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from ..scrub import scrub
from .config import Candidate, Config
from .errors import (
    AllCandidatesFailedError,
    ConfigError,
    InputTooLargeError,
    UnavailableError,
    UnpricedModelError,
)
from .guard import Guard
from .interaction import Running
from .ledger import Ledger
from .prices import price_of
from .providers import build_model
from .records import Interaction
from .telemetry import instrument

if TYPE_CHECKING:
    from httpx2 import AsyncClient

log = structlog.get_logger(__name__)


class Candidates:
    """The guards by name. One is built anew, and its breaker and queue with it, when its configuration changes."""

    def __init__(
        self, config: Callable[[], Config], ledger: Ledger, client: "AsyncClient", doubles: Mapping[str, Model]
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._client = client
        self._doubles = doubles
        self._guards: dict[str, Guard] = {}

    def chain(self, name: str) -> list[Guard]:
        """Return the guards of a chain, in order.

        Raises:
            ConfigError: There is no such chain.
        """
        config = self._config()
        if name not in config.chains:
            raise ConfigError("chains", f"none is called {name!r}; there are: {', '.join(sorted(config.chains))}")
        return [self._guard(candidate, config) for candidate in config.chains[name]]

    def _guard(self, name: str, config: Config) -> Guard:
        candidate = config.candidates[name]
        known = self._guards.get(name)
        if known is None or known.candidate != candidate:
            known = self._guards[name] = self._build(name, candidate)
        breaker = known.breaker
        settings = config.breaker
        breaker.failures, breaker.pause = settings.failures, settings.pause
        breaker.misconfigured_pause = settings.misconfigured_pause
        return known

    def _build(self, name: str, candidate: Candidate) -> Guard:
        price = price_of(candidate.model, candidate.price)
        if price is None:
            raise UnpricedModelError(candidate.model)
        broken: ConfigError | None = None
        try:
            model = self._doubles.get(name) or build_model(candidate, self._client)
        except ConfigError as error:
            broken, model = error, _unusable(candidate.model, error)
        guard = Guard(
            name, instrument(model), candidate=candidate, price=price, ledger=self._ledger, config=self._config
        )
        if broken:  # the others of its chain answer meanwhile
            guard.breaker.misconfigured()
            log.error("llm candidate taken out: mend its configuration", candidate=name, error=str(broken))
        return guard


def _unusable(name: str, error: ConfigError) -> Model:
    """Stand in for a model that could not be built, until its configuration changes."""
    from pydantic_ai.models.function import FunctionModel  # noqa: PLC0415 - hardly ever needed

    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise error

    return FunctionModel(fail, stream_function=fail, model_name=name)


@dataclass(init=False, eq=False)
class ChainModel(FallbackModel):
    """A chain as one model, for an agent or whatever else takes a model. It follows the configuration as it changes."""

    def __init__(
        self,
        candidates: Candidates,
        chain: str,
        join: Callable[[], AbstractAsyncContextManager[Running]],
        max_bytes: Callable[[], int],
    ) -> None:
        self._candidates = candidates
        self._name = chain
        self._join = join
        self._max_bytes = max_bytes
        super().__init__(*candidates.chain(chain), fallback_on=(UnavailableError,))

    @property  # type: ignore[misc]
    def models(self) -> list[Model]:
        """The chain's guards at this moment."""
        return list(self._candidates.chain(self._name))

    @models.setter
    def models(self, _: list[Model]) -> None:
        """Ignored: what the base class keeps is as of its beginning."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the candidates in turn.

        Raises:
            AllCandidatesFailedError: None could answer.
            LLMError: As a guard raises it.
        """
        async with self._within_interaction(messages, model_settings) as (row, settings):
            response = await super().request(messages, settings, model_request_parameters)
            _note(row, response)
            return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Ask the candidates in turn for a stream. Raises as `request`."""
        async with (
            self._within_interaction(messages, model_settings) as (row, settings),
            super().request_stream(messages, settings, model_request_parameters, run_context) as stream,
        ):
            yield stream
            if not row.response:  # unless whoever read the stream noted it, cleaned
                _note(row, stream.get())

    @asynccontextmanager
    async def _within_interaction(
        self, messages: list[ModelMessage], settings: ModelSettings | None
    ) -> AsyncIterator[tuple[Interaction, ModelSettings]]:
        """Join the interaction that is under way, or be one; what is left of its time is the limit for all."""
        async with self._join() as call:
            limit, size = self._max_bytes(), len(ModelMessagesTypeAdapter.dump_json(messages))
            if size > limit:
                raise InputTooLargeError(limit, size)
            call.row.request = call.row.request or scrub(_text_of(messages[-1]))
            try:
                yield call.row, {**(settings or {}), "request_timeout": call.remaining()}
            except FallbackExceptionGroup as group:
                raise AllCandidatesFailedError(self._name, group.exceptions) from group
            except UnavailableError:  # a stream that broke off, perhaps because the time was up
                call.remaining()
                raise


def _note(row: Interaction, response: ModelResponse) -> None:
    row.response, row.model, row.source = scrub(_text_of(response)), response.model_name or "", "model"


def _text_of(message: ModelMessage) -> str:
    """Return what a message says, tool calls included, for the record."""
    said = (part.args if isinstance(part, ToolCallPart) else getattr(part, "content", "") for part in message.parts)
    return "\n".join(each if isinstance(each, str) else str(each) for each in said if each)
