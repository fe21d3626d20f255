"""One candidate under guard: limiter, breaker and retries around attempts that are reserved, settled and recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from ai_base.llm.candidates.attempt import STREAMING, Attempts, Plan
from ai_base.llm.candidates.bounds import (
    Messages,
    Params,
    Request,
    SchemaSizes,
    Settings,
    most_input_tokens,
    without_personal_data,
)
from ai_base.llm.candidates.failures import is_filtered, refusal_in
from ai_base.llm.candidates.retry import retrying
from ai_base.llm.candidates.streams import begin
from ai_base.llm.configuration.config import Candidate, Config
from ai_base.llm.configuration.prices import Price
from ai_base.llm.errors import AttemptFailedError, ModelRefusalError, UnpricedModelError
from ai_base.llm.interaction import current_interaction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.text.scrub import scrub


@dataclass(eq=False)
class Guard(WrapperModel):
    """One candidate under guard. It must run inside an interaction (see `interaction.current_interaction`)."""

    wrapped: Model
    name: str
    candidate: Candidate
    price: Price
    ledger: Ledger
    config: Callable[[], Config]

    def __post_init__(self) -> None:
        super().__init__(self.wrapped)
        self._sizes = SchemaSizes(self.wrapped)
        self._attempts = Attempts(self.name, self.model_name, self.candidate, self.price, self.ledger, self.config)
        self.limiter, self.breaker = self._attempts.limiter, self._attempts.breaker

    async def request(self, messages: Messages, settings: Settings, params: Params) -> ModelResponse:
        """Ask the candidate.

        Raises:
            UnavailableError: It cannot answer; the next candidate may.
            RefusedError: The call would exceed a limit. The next candidate is not asked.
            RejectedRequestError: The provider refuses the request itself.
            ModelRefusalError: The model refuses to answer.
        """
        call = current_interaction()
        request, plan = self._prepare((messages, settings, params))

        async def once() -> ModelResponse:
            async with self._attempts.start(call, plan) as running:
                timeout = self._timeout()
                async with asyncio.timeout(timeout):
                    response = await self.wrapped.request(*_with_timeout(request, timeout))
                running.take(response)
            name = running.attempt.model
            return response if response.model_name == name else replace(response, model_name=name)

        response = await retrying(self.limiter, self.config().retry, once)
        self._require_answer(response)
        return response

    @asynccontextmanager
    async def request_stream(
        self, messages: Messages, settings: Settings, params: Params, run_context: RunContext[Any] | None = None
    ) -> AsyncIterator[StreamedResponse]:
        """Ask for a stream. Once it has begun, a failure is raised where it is read. Raises as `request`."""
        call = current_interaction()
        request, plan = self._prepare((messages, settings, params))

        @asynccontextmanager
        async def once() -> AsyncIterator[StreamedResponse]:
            async with self._attempts.start(call, plan) as running, AsyncExitStack() as opened:
                timeout = self._timeout()
                async with asyncio.timeout(timeout):
                    sent = _with_timeout(request, timeout)
                    stream = await opened.enter_async_context(self.wrapped.request_stream(*sent, run_context))
                    await begin(stream, call, running.slot)
                running.attempt.status = STREAMING
                yield stream
                await opened.aclose()
                running.take(stream.get())

        async with AsyncExitStack() as stack:
            stream = await retrying(self.limiter, self.config().retry, lambda: stack.enter_async_context(once()))
            yield stream
            if (refusal := refusal_in(stream.get())) is not None:
                raise ModelRefusalError(self.name, scrub(refusal))

    async def compact_messages(self, *_: object, **__: object) -> NoReturn:
        """Refuse: its cost has no upper bound."""
        raise UnpricedModelError(self.model_id, "compaction and batch requests would bypass the budget")

    batch_create = compact_messages

    def _prepare(self, request: Request) -> tuple[Request, Plan]:
        """Complete the settings, and bound the cost."""
        if not self.config().privacy.send_personal_data:
            request = without_personal_data(request)
        messages, settings, params = request
        wanted: dict[str, Any] = {"temperature": self.candidate.temperature, **(settings or {}), "max_retries": 0}
        asked = max(1, wanted.get("max_tokens") or self.candidate.max_output_tokens)
        wanted["max_tokens"] = most_output = min(asked, self.candidate.max_output_tokens)
        given = cast("ModelSettings", {key: value for key, value in wanted.items() if value is not None})
        window = self.candidate.context_window or self.wrapped.context_window
        most_input = most_input_tokens(self._sizes, (messages, given, params), window)
        plan = Plan(messages, self.price.bound(most_input, most_output), most_output, window)
        return (messages, given, params), plan

    def _timeout(self) -> float:
        return min(self.candidate.timeout, current_interaction().remaining())

    def _require_answer(self, response: ModelResponse) -> None:
        """Raise an error if the response is a refusal, or was withheld by a content filter."""
        if (refusal := refusal_in(response)) is not None:
            if self.candidate.when_refused == "next":
                raise AttemptFailedError(self.name, f"the model refuses: {scrub(refusal)}", kind="unsuitable")
            raise ModelRefusalError(self.name, scrub(refusal))
        if is_filtered(response):
            raise AttemptFailedError(self.name, "the provider's content filter withholds the answer", kind="unsuitable")


def _with_timeout(request: Request, timeout: float) -> Request:
    messages, settings, params = request
    return messages, cast("ModelSettings", {**(settings or {}), "timeout": timeout}), params
